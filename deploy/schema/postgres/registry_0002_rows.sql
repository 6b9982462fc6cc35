-- Keys, locks and what belongs to them, by area ("kv", "lock") and kind.
CREATE TABLE reg_row (
    area TEXT NOT NULL,
    kind BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (area, kind, tenant, namespace, name)
);
-- Who opened an area last; earlier ones may not write any more.
CREATE TABLE reg_owner (
    area TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL
);
