-- The pendings of some shards that are due before a time, by (shard, due, id),
-- from a place on: a probe of the index per shard that has any.
CREATE FUNCTION journal_due(first_shard bigint, last_shard bigint,
                            after_due bigint, after_id bigint,
                            until_ms bigint, most bigint)
RETURNS SETOF journal_pending LANGUAGE plpgsql STABLE AS $$
DECLARE
    at bigint := first_shard;
    due bigint;  -- the first of shard `at`
    n bigint := 0;
    got bigint;
BEGIN
    WHILE n < most LOOP
        SELECT p.shard, p.due_ms INTO at, due FROM journal_pending p
            WHERE p.shard >= at AND p.shard <= last_shard
            ORDER BY p.shard, p.due_ms LIMIT 1;
        EXIT WHEN at IS NULL;
        got := 0;
        IF due >= until_ms THEN
            NULL;
        ELSIF at = first_shard THEN
            RETURN QUERY SELECT * FROM journal_pending p
                WHERE p.shard = at AND p.due_ms < until_ms
                AND (p.due_ms, p.id) > (after_due, after_id)
                ORDER BY p.due_ms, p.id LIMIT most - n;
        ELSE
            RETURN QUERY SELECT * FROM journal_pending p
                WHERE p.shard = at AND p.due_ms < until_ms
                ORDER BY p.due_ms, p.id LIMIT most - n;
        END IF;
        IF due < until_ms THEN
            GET DIAGNOSTICS got = ROW_COUNT;
        END IF;
        n := n + got;
        at := at + 1;
    END LOOP;
END
$$;

-- When the first pending of some shards is due that is not before a time; 0:
-- there is none.
CREATE FUNCTION journal_next_due(first_shard bigint, last_shard bigint,
                                 from_ms bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    at bigint := first_shard;
    one bigint;
    least_ms bigint := 0;
BEGIN
    LOOP
        SELECT p.shard, p.due_ms INTO at, one FROM journal_pending p
            WHERE p.shard >= at AND p.shard <= last_shard
            ORDER BY p.shard, p.due_ms LIMIT 1;
        EXIT WHEN at IS NULL;
        IF one < from_ms THEN
            SELECT p.due_ms INTO one FROM journal_pending p
                WHERE p.shard = at AND p.due_ms >= from_ms
                ORDER BY p.due_ms LIMIT 1;
        END IF;
        IF one IS NOT NULL AND (least_ms = 0 OR one < least_ms) THEN
            least_ms := one;
        END IF;
        at := at + 1;
    END LOOP;
    RETURN least_ms;
END
$$;
