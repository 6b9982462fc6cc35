-- Rows of pendings are found by their id and their shard and due time, in which
-- the row's number only keeps the order: an index less to write for each timer.
SET LOCAL statement_timeout = 0;
ALTER TABLE journal_pending DROP CONSTRAINT IF EXISTS journal_pending_pkey;
