-- Keys of tenants, wrapped by a master key. A tenant's newest seals what it
-- writes; the others are for reading. Without the row nothing that it sealed
-- can be read again. Ids are never used twice. Tenant '' is the chains' key.
CREATE TABLE journal_tenant_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    born INTEGER NOT NULL,    -- master key when it was made
    master INTEGER NOT NULL,  -- master key that wraps it
    wrapped BLOB NOT NULL,
    UNIQUE (tenant, born)
);
