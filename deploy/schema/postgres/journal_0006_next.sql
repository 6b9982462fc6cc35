-- What is due before until_ms by (shard, due_ms, id), at most `most` rows, from
-- that place in the first shard on; when there are fewer, one row more: its id
-- is 0, and its due_ms is the first of these shards after them, 0: there is
-- none. One statement finds the shards that have any, whatever lies between.
CREATE OR REPLACE FUNCTION journal_due(first_shard bigint, last_shard bigint,
                                       after_due bigint, after_id bigint,
                                       until_ms bigint, most bigint)
RETURNS SETOF journal_pending LANGUAGE plpgsql STABLE AS $$
DECLARE
    s record;
    n bigint := 0;
    got bigint;
    one bigint;
    last_row journal_pending;
BEGIN
    last_row.id := 0;
    last_row.due_ms := 0;
    FOR s IN
        WITH RECURSIVE firsts(shard, due_ms) AS (
            (SELECT p.shard, p.due_ms FROM journal_pending p
             WHERE p.shard >= first_shard AND p.shard <= last_shard
             ORDER BY p.shard, p.due_ms LIMIT 1)
            UNION ALL
            SELECT p.shard, p.due_ms FROM firsts f CROSS JOIN LATERAL (
                SELECT q.shard, q.due_ms FROM journal_pending q
                WHERE q.shard > f.shard AND q.shard <= last_shard
                ORDER BY q.shard, q.due_ms LIMIT 1) p)
        SELECT f.shard, f.due_ms FROM firsts f
    LOOP
        one := s.due_ms;
        IF one < until_ms THEN
            IF s.shard = first_shard THEN
                RETURN QUERY SELECT * FROM journal_pending p
                    WHERE p.shard = s.shard AND p.due_ms < until_ms
                    AND (p.due_ms, p.id) > (after_due, after_id)
                    ORDER BY p.due_ms, p.id LIMIT most - n;
            ELSE
                RETURN QUERY SELECT * FROM journal_pending p
                    WHERE p.shard = s.shard AND p.due_ms < until_ms
                    ORDER BY p.due_ms, p.id LIMIT most - n;
            END IF;
            GET DIAGNOSTICS got = ROW_COUNT;
            n := n + got;
            IF n >= most THEN
                RETURN;
            END IF;
            one := (SELECT p.due_ms FROM journal_pending p
                    WHERE p.shard = s.shard AND p.due_ms >= until_ms
                    ORDER BY p.due_ms LIMIT 1);
        END IF;
        IF last_row.due_ms = 0 OR one < last_row.due_ms THEN
            last_row.due_ms := COALESCE(one, last_row.due_ms);
        END IF;
    END LOOP;
    RETURN NEXT last_row;
END
$$;

-- When the first is due that is not due before from_ms, 0: there is none.
CREATE OR REPLACE FUNCTION journal_next_due(first_shard bigint,
                                            last_shard bigint, from_ms bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH RECURSIVE firsts(shard, due_ms) AS (
            (SELECT p.shard, p.due_ms FROM journal_pending p
             WHERE p.shard >= first_shard AND p.shard <= last_shard
             ORDER BY p.shard, p.due_ms LIMIT 1)
            UNION ALL
            SELECT p.shard, p.due_ms FROM firsts f CROSS JOIN LATERAL (
                SELECT q.shard, q.due_ms FROM journal_pending q
                WHERE q.shard > f.shard AND q.shard <= last_shard
                ORDER BY q.shard, q.due_ms LIMIT 1) p)
        SELECT COALESCE(min(CASE WHEN f.due_ms >= from_ms THEN f.due_ms ELSE (
            SELECT p.due_ms FROM journal_pending p
            WHERE p.shard = f.shard AND p.due_ms >= from_ms
            ORDER BY p.due_ms LIMIT 1) END), 0) FROM firsts f);
END
$$;
