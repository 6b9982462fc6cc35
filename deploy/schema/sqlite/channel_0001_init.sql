-- Messages in the order of sending; headers are name, NUL, value, NUL, ...
CREATE TABLE channel_message (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    channel TEXT NOT NULL,
    key TEXT NOT NULL,
    sent_ms INTEGER NOT NULL,
    headers BLOB NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE TABLE channel_group (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    channel TEXT NOT NULL,
    name TEXT NOT NULL,
    from_seq INTEGER NOT NULL,
    PRIMARY KEY (tenant, namespace, channel, name)
) STRICT;
-- What a group did with a message: 0 waiting again, 1 acknowledged, 2 dead.
CREATE TABLE channel_delivery (
    seq INTEGER NOT NULL,
    name TEXT NOT NULL,
    state INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (seq, name)
) STRICT, WITHOUT ROWID;
-- Answers to request ids, kept for ten minutes.
CREATE TABLE channel_request (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    channel TEXT NOT NULL,
    request_id BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    first_id BLOB NOT NULL,
    n INTEGER NOT NULL,
    UNIQUE (request_id, tenant, namespace, channel)
) STRICT;
