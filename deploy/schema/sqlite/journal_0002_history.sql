-- Turns get a chain of hashes, what they were made of, and may be kept longer
-- than their message id. Small columns come first: reaching a column behind a
-- large state means reading through all of it.
ALTER TABLE journal_turn RENAME TO journal_turn_1;
CREATE TABLE journal_turn (
    id INTEGER PRIMARY KEY,
    actor INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    prev INTEGER NOT NULL,      -- id of the actor's turn before, 0: none
    at_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    keep_more_ms INTEGER NOT NULL,  -- kept for this much longer
    keep_turns INTEGER NOT NULL,  -- and while among the newest so many
    request_hash INTEGER NOT NULL,
    has_state INTEGER NOT NULL,
    state_back INTEGER NOT NULL,  -- turns to the newest with a state
                                  -- (seq: none), 0: this or not known
    schema_version INTEGER NOT NULL,
    state_hash INTEGER NOT NULL,
    record_hash INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    flags INTEGER NOT NULL,     -- how the bytes are coded: store_lib.h
    chain BLOB,                 -- hash over the turn and the chain before
    message_id BLOB,
    reply BLOB,
    record BLOB,
    state BLOB
);
INSERT INTO journal_turn
SELECT id, actor, seq, prev, at_ms, expires_ms, 0, 0, request_hash, has_state,
    0, schema_version, state_hash, 0, checksum, 0, NULL, message_id, reply, NULL,
    state
FROM journal_turn_1;
DROP TABLE journal_turn_1;

-- Every 64th turn of an actor, to find the others from.
CREATE TABLE journal_seek (
    actor INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (actor, seq)
) WITHOUT ROWID;

-- The newest turn that was removed: what the oldest kept one chains to.
CREATE TABLE journal_anchor (
    actor INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    chain BLOB NOT NULL         -- empty: written before there was a chain
);
INSERT INTO journal_anchor
SELECT actor, MIN(seq) - 1, x'' FROM journal_turn GROUP BY actor
HAVING MIN(seq) > 1;

ALTER TABLE journal_pending ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;

ALTER TABLE journal_snapshot RENAME TO journal_snapshot_1;
DROP INDEX journal_snapshot_by_seq;
CREATE TABLE journal_snapshot (
    id INTEGER PRIMARY KEY,
    actor INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    state_hash INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    state BLOB
);
CREATE UNIQUE INDEX journal_snapshot_by_seq ON journal_snapshot (actor, seq);
INSERT INTO journal_snapshot
SELECT id, actor, seq, schema_version, state_hash, checksum, 0, state
FROM journal_snapshot_1;
DROP TABLE journal_snapshot_1;
