-- One row per service over this database; raised by each start. A commit under
-- an older epoch changes nothing.
CREATE TABLE tspace_epoch (
    shard INTEGER PRIMARY KEY,
    epoch BIGINT NOT NULL
);
-- Where records belong; space is "" for those of a whole namespace.
CREATE TABLE tspace_place (
    number SERIAL PRIMARY KEY,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    space TEXT NOT NULL,
    UNIQUE (tenant, namespace, space)
);
-- The tuples, by id. Only the service's engine knows what the bodies mean.
CREATE TABLE tspace_item (
    shard INTEGER NOT NULL,
    id BIGINT NOT NULL,
    place INTEGER NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (shard, id)
);
ALTER TABLE tspace_item ALTER COLUMN body SET STORAGE EXTERNAL;
-- Everything else.
CREATE TABLE tspace_record (
    shard INTEGER NOT NULL,
    place INTEGER NOT NULL,
    record SMALLINT NOT NULL,
    key BYTEA NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (shard, key, record, place)
);
