-- Tuples in the order of writing; body is the encoding of tuple.c.
CREATE TABLE tspace_tuple (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    space TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
-- Answers to request ids, kept for ten minutes.
CREATE TABLE tspace_request (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    space TEXT NOT NULL,
    request_id BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    answer BLOB NOT NULL,
    UNIQUE (request_id, tenant, namespace, space)
) STRICT;
