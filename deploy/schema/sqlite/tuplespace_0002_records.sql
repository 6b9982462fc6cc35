-- The earlier form, of a tuple space without indexes, transactions and leases:
-- kept aside, not served any more.
ALTER TABLE tspace_tuple RENAME TO tspace_tuple_0001;
DROP TABLE tspace_request;
-- Raised by each start; ids of tuples begin with it.
CREATE TABLE tspace_epoch (
    shard INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL
) STRICT;
-- Where records belong; space is "" for those of a whole namespace.
CREATE TABLE tspace_place (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    space TEXT NOT NULL,
    UNIQUE (tenant, namespace, space)
) STRICT;
-- The tuples, by id. Only the service's engine knows what the bodies mean.
CREATE TABLE tspace_item (
    id INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
-- Everything else.
CREATE TABLE tspace_record (
    seq INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,
    record INTEGER NOT NULL,
    key BLOB NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (key, record, place)
) STRICT;
