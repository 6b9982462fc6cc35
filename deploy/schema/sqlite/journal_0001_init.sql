-- One row per actor. last_* and state_* are written back lazily: rows of
-- journal_turn from journal_mark.head_turn on say what is newer.
CREATE TABLE journal_actor (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,  -- tenant/namespace/type/key
    last_seq INTEGER NOT NULL DEFAULT 0,
    last_turn INTEGER NOT NULL DEFAULT 0,   -- journal_turn.id
    state_seq INTEGER NOT NULL DEFAULT 0,
    state_turn INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE journal_mark (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    head_turn INTEGER NOT NULL
);
INSERT INTO journal_mark VALUES (1, 1);

-- Appended only: new rows go to the right edge of the tree. No index over
-- (actor, seq), which would touch one leaf per actor: turns of an actor are
-- chained backwards by prev.
CREATE TABLE journal_turn (
    id INTEGER PRIMARY KEY,
    actor INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    prev INTEGER NOT NULL,      -- id of the actor's turn before, 0: none
    at_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    request_hash INTEGER NOT NULL,
    has_state INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    state_hash INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    message_id BLOB,
    reply BLOB,
    state BLOB
);

-- The id comes first: those the gateway makes are ordered by time.
CREATE TABLE journal_message (
    message_id BLOB NOT NULL,
    actor INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    PRIMARY KEY (message_id, actor)
) WITHOUT ROWID;

CREATE TABLE journal_pending (
    id INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    actor INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    pending_id BLOB NOT NULL,
    message BLOB
);
CREATE UNIQUE INDEX journal_pending_by_id
    ON journal_pending (pending_id, actor);
CREATE INDEX journal_pending_by_due ON journal_pending (shard, due_ms);

-- The newest two of each actor.
CREATE TABLE journal_snapshot (
    id INTEGER PRIMARY KEY,
    actor INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    state_hash INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    state BLOB
);
CREATE UNIQUE INDEX journal_snapshot_by_seq ON journal_snapshot (actor, seq);

-- Newest epoch per shard, 4096 shards a row, 8 bytes each, big endian.
CREATE TABLE journal_epoch (
    chunk INTEGER PRIMARY KEY,
    epochs BLOB NOT NULL
);
