-- Names are long and repeated; everything else knows an actor by its id.
CREATE TABLE journal_actor (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE   -- tenant/namespace/type/key
);

-- The newest row of an actor is its head: last sequence and newest state.
CREATE TABLE journal_turn (
    actor bigint NOT NULL,
    seq bigint NOT NULL,
    at_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    request_hash bigint NOT NULL,
    state_seq bigint NOT NULL,    -- newest turn up to this with a state, or 0
    schema_version bigint NOT NULL,
    state_hash bigint NOT NULL,
    checksum bigint NOT NULL,
    remembered boolean NOT NULL,  -- false: no id, or a later turn took it
    message_id bytea NOT NULL,
    reply bytea NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (actor, seq)
);
-- The id comes first: those the gateway makes are ordered by time.
CREATE UNIQUE INDEX journal_turn_by_message ON journal_turn (message_id, actor)
    WHERE remembered;
CREATE INDEX journal_turn_by_expiry ON journal_turn (expires_ms, actor, seq);

CREATE TABLE journal_pending (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard bigint NOT NULL,
    due_ms bigint NOT NULL,
    actor bigint NOT NULL,
    checksum bigint NOT NULL,
    pending_id bytea NOT NULL,
    message bytea NOT NULL,
    UNIQUE (pending_id, actor)
);
CREATE INDEX journal_pending_by_due ON journal_pending (shard, due_ms, id);

-- The newest two of each actor.
CREATE TABLE journal_snapshot (
    actor bigint NOT NULL,
    seq bigint NOT NULL,
    schema_version bigint NOT NULL,
    state_hash bigint NOT NULL,
    checksum bigint NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (actor, seq)
);

-- Newest epoch per shard, 4096 shards a row, 8 bytes each, big endian. A
-- journal reads them again when the version is not the one it knows.
CREATE TABLE journal_epoch (
    chunk bigint PRIMARY KEY,
    epochs bytea NOT NULL
);
CREATE TABLE journal_epoch_version (
    one bigint PRIMARY KEY CHECK (one = 1),
    version bigint NOT NULL,
    removals bigint NOT NULL  -- how often turns have been removed
);
-- Random, so that tables made anew are not taken for those before.
INSERT INTO journal_epoch_version
VALUES (1, 1 + (random() * 1e15)::bigint, 1 + (random() * 1e15)::bigint);

-- Append turns if the epochs are those of the known version and the last turns
-- of the actors are as expected; else nothing is written. Each statement sees
-- what was committed before it began, so it matters that the lock comes first.
-- Turns are only ever removed under the exclusive lock. So a turn that another
-- journal commits after the check fails the primary key; and an actor need not
-- be checked again while nothing has been removed.
CREATE FUNCTION journal_append(known bigint, known_removals bigint,
                               actors bigint[], lasts bigint[],
                               turns journal_turn[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(29959110190424428);
    IF NOT EXISTS (
            SELECT FROM journal_epoch_version
            WHERE one = 1 AND version = known AND removals = known_removals)
       OR cardinality(actors) > 0 AND EXISTS (
            SELECT FROM unnest(actors, lasts) AS k(actor, seq)
            WHERE k.seq <> COALESCE((  -- turns before k.seq cost time
                SELECT t.seq FROM journal_turn t
                WHERE t.actor = k.actor AND t.seq >= k.seq
                ORDER BY t.seq DESC LIMIT 1), 0)) THEN
        RAISE EXCEPTION 'epochs or turns are not the expected ones'
            USING ERRCODE = 'PXJ01';
    END IF;
    INSERT INTO journal_turn SELECT * FROM unnest(turns);
END
$$;
