-- Who leads. The epoch grows with each acquisition.
CREATE TABLE place_lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
);
-- The newest shard table of each pool: plexspaces.placement.v1.Table.
CREATE TABLE place_table (
    pool TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
);
