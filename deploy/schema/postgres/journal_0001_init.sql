-- One row per actor; its row lock orders the commits of several journals.
CREATE TABLE journal_actor (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,  -- tenant/namespace/type/key
    last_seq bigint NOT NULL DEFAULT 0,
    state_seq bigint NOT NULL DEFAULT 0     -- newest turn that has a state
) WITH (fillfactor = 70);

CREATE TABLE journal_turn (
    actor bigint NOT NULL,
    seq bigint NOT NULL,
    at_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    request_hash bigint NOT NULL,
    has_state bigint NOT NULL,
    schema_version bigint NOT NULL,
    state_hash bigint NOT NULL,
    checksum bigint NOT NULL,
    message_id bytea NOT NULL,
    reply bytea NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (actor, seq)
);
CREATE INDEX journal_turn_by_expiry ON journal_turn (expires_ms, actor, seq);

-- The id comes first: those the gateway makes are ordered by time.
CREATE TABLE journal_message (
    message_id bytea NOT NULL,
    actor bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (message_id, actor)
);

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
    version bigint NOT NULL
);
INSERT INTO journal_epoch_version VALUES (1, 1);
