#include "services/journal/store_pg.h"

/* Any number that others are unlikely to use: "journal" in ASCII. The schema
 * has it, too. */
#define EPOCH_LOCK "29959110190424428"

/* Rows are looked at in the order of the time they are kept until, from where
 * the last call stopped: $1 now, $2..$4 the place, $5 how many. Spent is what
 * nobody needs any more; an actor's newest turn never is. */
#define RETAIN_SEEN                                                            \
    "WITH seen AS (SELECT t.*, t.seq = h.state_seq AND NOT EXISTS (SELECT "    \
    "FROM journal_snapshot s WHERE s.actor = t.actor AND s.seq = t.seq) AS "   \
    "holds, t.seq < h.seq AND t.seq + t.keep_turns <= h.seq AND (t.flags & 4 " \
    "= 0 OR t.seq < h.state_seq OR t.seq <= COALESCE((SELECT s.seq FROM "      \
    "journal_snapshot s WHERE s.actor = t.actor ORDER BY s.seq DESC LIMIT 1 "  \
    "OFFSET 1), 0)) AS spent FROM journal_turn t JOIN LATERAL (SELECT n.seq, " \
    "n.state_seq FROM journal_turn n WHERE n.actor = t.actor ORDER BY n.seq "  \
    "DESC LIMIT 1) h ON true WHERE t.keep_ms <= $1::bigint AND (t.keep_ms, "   \
    "t.actor, t.seq) > ($2::bigint, $3::bigint, $4::bigint) ORDER BY "         \
    "t.keep_ms, t.actor, t.seq LIMIT $5::bigint)"

#define STATE_OR_NULL(t)                                                      \
    "CASE WHEN octet_length(" t ".state) <= " PG_LOADS_STATE_BYTES " THEN " t \
    ".state END"
#define TURN_COLUMNS(t)                                                        \
    t ".seq, " t ".at_ms, " t ".expires_ms, " t ".request_hash, " t            \
      ".state_seq, " t ".schema_version, " t ".state_hash, " t ".checksum, " t \
      ".message_id, CASE WHEN octet_length(" t                                 \
      ".reply) <= " PG_LOADS_REPLY_BYTES " THEN " t ".reply END, " t           \
      ".flags, " t ".record_hash"

const char *const journal_pg_texts[PG_STATEMENTS] = {
    [PG_BEGIN] = "BEGIN",
    [PG_COMMIT] = "COMMIT",
    [PG_ROLLBACK] = "ROLLBACK",
    [PG_LOCK] = "SELECT pg_advisory_xact_lock(" EPOCH_LOCK ")",
    [PG_EPOCH_VERSION] = "SELECT version, removals FROM "
                         "journal_epoch_version WHERE one = 1",
    [PG_EPOCH_GET] = "SELECT chunk, epochs FROM journal_epoch ORDER BY chunk",
    [PG_EPOCH_SET] = "INSERT INTO journal_epoch (chunk, epochs) VALUES ($1, "
                     "$2) ON CONFLICT (chunk) DO UPDATE SET epochs = "
                     "EXCLUDED.epochs",
    [PG_EPOCH_BUMP] = "UPDATE journal_epoch_version SET version = version + 1 "
                      "WHERE one = 1",
    [PG_SYNC_OFF] = "SELECT set_config('synchronous_commit', 'off', true)",
    [PG_ACTORS_MAKE] = "INSERT INTO journal_actor (name) SELECT n FROM "
                       "unnest($1::text[]) AS n ON CONFLICT DO NOTHING",
    [PG_ACTORS_GET] =
        "SELECT k.ord, a.id, COALESCE(h.seq, 0), COALESCE(h.state_seq, "
        "0), COALESCE(h.chain, '') FROM "
        "unnest($1::text[]) WITH ORDINALITY AS k(name, ord) JOIN "
        "journal_actor a ON a.name = k.name LEFT JOIN LATERAL (SELECT t.seq, "
        "t.state_seq, t.chain FROM journal_turn t WHERE t.actor = a.id ORDER "
        "BY t.seq "
        "DESC LIMIT 1) h ON true",
    /* OFFSET keeps the order of the joins: many actors may have that id. */
    [PG_MESSAGES_GET] =
        "SELECT k.ord, t.request_hash, t.expires_ms, t.reply, t.flags, t.seq "
        "FROM "
        "unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS k(name, id, ord) "
        "JOIN journal_actor a ON a.name = k.name JOIN LATERAL (SELECT * FROM "
        "journal_turn m WHERE m.message_id = k.id AND m.actor = a.id AND "
        "m.remembered OFFSET 0) t ON true",
    [PG_MESSAGES_FORGET] =
        "UPDATE journal_turn t SET remembered = false FROM "
        "unnest($1::bytea[], $2::bigint[]) AS k(id, actor) WHERE t.message_id "
        "= k.id AND t.actor = k.actor AND t.remembered",
    [PG_MESSAGE_FIND] =
        "SELECT t.at_ms, a.name, t.reply, t.flags, t.seq FROM journal_turn t "
        "JOIN "
        "journal_actor a ON a.id = t.actor WHERE t.message_id = $1::bytea AND "
        "t.remembered AND t.expires_ms > $2::bigint AND "
        "starts_with(a.name, $3::text || '/') ORDER BY t.at_ms DESC LIMIT 1",
    [PG_APPEND] = "SELECT journal_append($1::bigint, $2::bigint, $3::bigint[], "
                  "$4::bigint[], $5::journal_turn[])",
    [PG_TURNS_ADD] = "INSERT INTO journal_turn SELECT * FROM "
                     "unnest($1::journal_turn[])",
    [PG_TURNS_RECENT] =
        "SELECT seq, at_ms, expires_ms, request_hash, state_seq, "
        "schema_version, state_hash, checksum, message_id, reply, flags, "
        "record_hash FROM journal_turn WHERE actor = $1::bigint AND message_id "
        "<> '' AND "
        "expires_ms > $2::bigint ORDER BY seq DESC LIMIT $3::bigint",
    [PG_TURN_STATE] =
        "SELECT seq, at_ms, expires_ms, request_hash, state_seq, "
        "schema_version, state_hash, checksum, message_id, reply, flags, "
        "record_hash, state FROM journal_turn WHERE actor = $1::bigint AND seq "
        "= $2::bigint",
    /* Columns as above, then whose it is. NULL is what is too large. */
    [PG_SNAPSHOTS_GET] =
        "SELECT s.seq, s.schema_version, s.state_hash, "
        "s.checksum, " STATE_OR_NULL(
            "s") ", s.flags, k.ord FROM unnest($1::bigint[], $2::bigint[]) "
                 "WITH "
                 "ORDINALITY AS k(actor, seq, ord) JOIN LATERAL (SELECT * FROM "
                 "journal_snapshot n WHERE n.actor = k.actor AND n.seq >= "
                 "k.seq ORDER "
                 "BY n.seq DESC LIMIT 1) s ON true",
    [PG_TURN_STATES] = "SELECT " TURN_COLUMNS("t") ", " STATE_OR_NULL(
        "t") ", k.ord FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY "
             "AS "
             "k(actor, seq, ord) JOIN journal_turn t ON t.actor = k.actor AND "
             "t.seq "
             "= k.seq WHERE NOT EXISTS (SELECT FROM journal_snapshot n WHERE "
             "n.actor = k.actor AND n.seq >= k.seq)",
    [PG_TURNS_RECENTS] = "SELECT " TURN_COLUMNS(
        "t") ", k.ord FROM unnest($1::bigint[]) WITH ORDINALITY AS k(actor, "
             "ord) "
             "JOIN LATERAL (SELECT * FROM journal_turn n WHERE n.actor = "
             "k.actor "
             "AND n.message_id <> '' AND n.expires_ms > $2::bigint ORDER BY "
             "n.seq "
             "DESC LIMIT $3::bigint) t ON true ORDER BY k.ord, t.seq DESC",
    [PG_PENDING_DROP] = "DELETE FROM journal_pending p USING "
                        "unnest($1::bytea[], $2::bigint[]) AS k(id, actor) "
                        "WHERE p.pending_id = k.id AND p.actor = k.actor",
    [PG_PENDING_ADD] =
        "INSERT INTO journal_pending (shard, due_ms, actor, checksum, "
        "pending_id, message, flags) SELECT * FROM unnest($1::bigint[], "
        "$2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], "
        "$7::bigint[]) "
        "ON CONFLICT (pending_id, actor) DO UPDATE SET shard = "
        "EXCLUDED.shard, due_ms = EXCLUDED.due_ms, checksum = "
        "EXCLUDED.checksum, message = EXCLUDED.message, flags = EXCLUDED.flags",
    [PG_PENDING_FIND] =
        "SELECT p.due_ms, a.name FROM journal_pending p JOIN journal_actor a "
        "ON a.id = p.actor WHERE p.pending_id = $1::bytea AND "
        "starts_with(a.name, $2::text || '/') LIMIT 1",
    [PG_PENDING_PAGE] =
        "SELECT p.id, p.shard, p.due_ms, p.checksum, p.pending_id, p.message, "
        "a.name, p.flags FROM journal_pending p JOIN journal_actor a ON a.id = "
        "p.actor "
        "WHERE p.shard <= $4::bigint AND (p.shard, p.due_ms, p.id) > "
        "($1::bigint, $2::bigint, $3::bigint) ORDER BY p.shard, p.due_ms, "
        "p.id LIMIT $5::bigint",
    [PG_PENDING_DUE] =
        "SELECT p.id, p.shard, p.due_ms, p.checksum, p.pending_id, p.message, "
        "a.name, p.flags FROM journal_due($1::bigint, $4::bigint, "
        "$2::bigint, $3::bigint, $6::bigint, $5::bigint) WITH ORDINALITY p "
        "LEFT JOIN journal_actor a ON a.id = p.actor WHERE a.id IS NOT NULL OR "
        "p.id = 0 ORDER BY p.ordinality",
    [PG_PENDING_NEXT] = "SELECT journal_next_due($1::bigint, $2::bigint, "
                        "$3::bigint)",
    [PG_SNAPSHOT_ADD] =
        "INSERT INTO journal_snapshot (actor, seq, schema_version, "
        "state_hash, checksum, state, flags) VALUES ($1, $2, $3, $4, $5, $6, "
        "$7) ON CONFLICT (actor, seq) DO UPDATE SET schema_version = "
        "EXCLUDED.schema_version, state_hash = EXCLUDED.state_hash, checksum "
        "= EXCLUDED.checksum, state = EXCLUDED.state, flags = EXCLUDED.flags",
    [PG_SNAPSHOT_TRIM] = "DELETE FROM journal_snapshot WHERE actor = "
                         "$1::bigint AND seq < (SELECT seq FROM "
                         "journal_snapshot WHERE actor = $1::bigint ORDER BY "
                         "seq DESC LIMIT 1 OFFSET 1)",
    [PG_SNAPSHOT_GET] = "SELECT seq, schema_version, state_hash, checksum, "
                        "state, flags FROM journal_snapshot WHERE actor = "
                        "$1::bigint AND seq BETWEEN $2::bigint AND $3::bigint "
                        "ORDER BY seq DESC",
    [PG_RETAIN_HOLDS] = RETAIN_SEEN
    " SELECT s.actor, s.seq, s.schema_version, s.state_hash, s.flags, "
    "a.name FROM seen s JOIN journal_actor a ON a.id = s.actor WHERE "
    "s.spent AND s.holds",
    [PG_RETAIN_CARRY] =
        "INSERT INTO journal_snapshot (actor, seq, schema_version, "
        "state_hash, checksum, state, flags) SELECT t.actor, t.seq, "
        "t.schema_version, t.state_hash, k.checksum, t.state, t.flags & ~4 "
        "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k(actor, "
        "seq, checksum) JOIN journal_turn t ON t.actor = k.actor AND t.seq = "
        "k.seq ON CONFLICT DO NOTHING",
    /* Gone is what is spent with all before it. */
    [PG_RETAIN] = RETAIN_SEEN
    ", nth AS (SELECT s.actor, s.seq, s.chain, row_number() OVER "
    "(PARTITION BY s.actor ORDER BY s.seq) AS n FROM seen s WHERE s.spent "
    "AND NOT s.holds), "
    "gone AS (SELECT r.actor, r.seq, r.chain FROM nth r JOIN LATERAL "
    "(SELECT o.seq FROM journal_turn o WHERE o.actor = r.actor ORDER BY "
    "o.seq LIMIT 1) o ON true WHERE r.seq = o.seq + r.n - 1), "
    "turns AS (DELETE FROM journal_turn t USING gone g WHERE t.actor = "
    "g.actor AND t.seq = g.seq), "
    "anchors AS (INSERT INTO journal_anchor SELECT DISTINCT ON (g.actor) "
    "g.actor, g.seq, g.chain FROM gone g ORDER BY g.actor, g.seq DESC ON "
    "CONFLICT (actor) DO UPDATE SET seq = EXCLUDED.seq, chain = "
    "EXCLUDED.chain), "
    "last AS (SELECT keep_ms, actor, seq FROM seen ORDER BY keep_ms DESC, "
    "actor DESC, seq DESC LIMIT 1), "
    "bump AS (UPDATE journal_epoch_version SET removals = removals + 1 "
    "WHERE one = 1 AND EXISTS (SELECT FROM gone) RETURNING removals) "
    "SELECT count(*), (SELECT count(*) FROM gone), (SELECT keep_ms "
    "FROM last), (SELECT actor FROM last), (SELECT seq FROM last), "
    "(SELECT removals FROM bump) FROM seen",
    [PG_RETAIN_NEXT] = "SELECT keep_ms FROM journal_turn WHERE keep_ms "
                       "> $1::bigint ORDER BY keep_ms LIMIT 1",
    /* What may go at once comes first when retention begins anew. */
    [PG_UNKEEP] = "UPDATE journal_turn SET keep_turns = 0, keep_ms = CASE WHEN "
                  "expires_ms <= $4::bigint THEN 0 ELSE expires_ms END WHERE "
                  "actor = (SELECT id FROM journal_actor WHERE name = "
                  "$1::text) AND seq BETWEEN $2::bigint AND $3::bigint",
    [PG_HEAD] =
        "SELECT COALESCE(h.seq, 0), COALESCE(h.state_seq, 0), "
        "COALESCE(n.seq, 0), COALESCE(n.chain, '') FROM journal_actor a LEFT "
        "JOIN LATERAL (SELECT t.seq, t.state_seq FROM journal_turn t WHERE "
        "t.actor = a.id ORDER BY t.seq DESC LIMIT 1) h ON true LEFT JOIN "
        "journal_anchor n ON n.actor = a.id WHERE a.name = $1::text",
    /* What is beyond 4 MiB is not read. */
    [PG_TURNS_PAST] =
        "SELECT seq, at_ms, expires_ms, request_hash, state_seq, "
        "schema_version, state_hash, checksum, message_id, reply, flags, "
        "record_hash, chain, record, CASE WHEN $5::bigint = 1 THEN state "
        "ELSE '' END FROM (SELECT t.*, sum(octet_length(t.reply) + "
        "octet_length(t.record) + $5::bigint * octet_length(t.state)) OVER "
        "(ORDER BY t.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS "
        "ahead FROM (SELECT t.* FROM journal_turn t WHERE t.actor = (SELECT "
        "id FROM journal_actor WHERE name = $1::text) AND t.seq >= "
        "$2::bigint AND t.seq <= $3::bigint ORDER BY t.seq LIMIT $4::bigint) "
        "t) t WHERE COALESCE(ahead, 0) < 4194304 ORDER BY seq",
    [PG_SEQ_AT] = "SELECT journal_seq_at(a.id, $2::bigint) FROM journal_actor "
                  "a WHERE a.name = $1::text",
    [PG_STATE_SEQ] =
        "SELECT a.id, t.seq, t.state_seq FROM journal_actor a LEFT JOIN "
        "journal_turn t ON t.actor = a.id AND t.seq = $2::bigint WHERE a.name "
        "= $1::text",
    [PG_ACTORS_LIST] = "SELECT name FROM journal_actor WHERE name > $1::text "
                       "ORDER BY name LIMIT $2::bigint",
    [PG_KEY_GET] = "SELECT id, tenant, born, master, wrapped FROM "
                   "journal_tenant_key WHERE id = $1::bigint OR ($1::bigint = "
                   "0 AND tenant = $2::text AND born = $3::bigint)",
    [PG_KEY_ADD] = "INSERT INTO journal_tenant_key (tenant, born, master, "
                   "wrapped) VALUES ($1::text, $2::bigint, $3::bigint, "
                   "$4::bytea) ON CONFLICT DO NOTHING",
    [PG_KEY_STALE] = "SELECT id, tenant, born, master, wrapped FROM "
                     "journal_tenant_key WHERE id > $1::bigint AND master <> "
                     "$2::bigint ORDER BY id LIMIT 1",
    [PG_KEY_SET] = "UPDATE journal_tenant_key SET master = $2::bigint, wrapped "
                   "= $3::bytea WHERE id = $1::bigint",
    [PG_KEY_DROP] = "WITH gone AS (DELETE FROM journal_tenant_key WHERE tenant "
                    "= $1::text RETURNING id) SELECT count(*) FROM gone",
    [PG_KEY_VACUUM] = "VACUUM journal_tenant_key",
};
