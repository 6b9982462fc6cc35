-- Turns get a chain of hashes, what they were made of, and may be kept longer
-- than their message id.
SET LOCAL statement_timeout = 0;
ALTER TABLE journal_turn
    ADD COLUMN keep_ms bigint NOT NULL DEFAULT 0,     -- kept until then
    ADD COLUMN keep_turns bigint NOT NULL DEFAULT 0,  -- and among the newest
    ADD COLUMN flags bigint NOT NULL DEFAULT 0,       -- coding: store_lib.h
    ADD COLUMN chain bytea NOT NULL DEFAULT '',  -- over the turn and the one before
    ADD COLUMN record_hash bigint NOT NULL DEFAULT 0,
    ADD COLUMN record bytea NOT NULL DEFAULT '';
UPDATE journal_turn SET keep_ms = expires_ms;
DROP INDEX journal_turn_by_expiry;
CREATE INDEX journal_turn_by_keep ON journal_turn (keep_ms, actor, seq);

-- The newest turn that was removed: what the oldest kept one chains to.
CREATE TABLE journal_anchor (
    actor bigint PRIMARY KEY,
    seq bigint NOT NULL,
    chain bytea NOT NULL  -- empty: written before there was a chain
);
INSERT INTO journal_anchor
SELECT actor, min(seq) - 1, '' FROM journal_turn GROUP BY actor
HAVING min(seq) > 1;

ALTER TABLE journal_pending ADD COLUMN flags bigint NOT NULL DEFAULT 0;
ALTER TABLE journal_snapshot ADD COLUMN flags bigint NOT NULL DEFAULT 0;

-- The newest turn of an actor whose time is not after the given one, or 0.
-- Times rise with the sequence, as long as no clock was set back.
CREATE FUNCTION journal_seq_at(who bigint, ms bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint;   -- at or before ms
    high bigint;  -- after it
    mid record;
BEGIN
    SELECT t.seq INTO low FROM journal_turn t WHERE t.actor = who
        ORDER BY t.seq LIMIT 1;
    SELECT t.seq + 1 INTO high FROM journal_turn t WHERE t.actor = who
        ORDER BY t.seq DESC LIMIT 1;
    IF low IS NULL OR (SELECT t.at_ms FROM journal_turn t
            WHERE t.actor = who AND t.seq = low) > ms THEN
        RETURN 0;
    END IF;
    WHILE high - low > 1 LOOP
        SELECT t.seq, t.at_ms INTO mid FROM journal_turn t
            WHERE t.actor = who AND t.seq <= (low + high) / 2
            ORDER BY t.seq DESC LIMIT 1;
        IF mid.at_ms <= ms AND mid.seq > low THEN
            low := mid.seq;
        ELSIF mid.seq > low THEN
            high := mid.seq;
        ELSE  -- a gap: the upper half
            SELECT t.seq, t.at_ms INTO mid FROM journal_turn t
                WHERE t.actor = who AND t.seq > low ORDER BY t.seq LIMIT 1;
            IF mid.seq IS NULL OR mid.seq >= high OR mid.at_ms > ms THEN
                RETURN low;
            END IF;
            low := mid.seq;
        END IF;
    END LOOP;
    RETURN low;
END
$$;
