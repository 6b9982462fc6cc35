-- Keys of tenants, wrapped by a master key. A tenant's newest seals what it
-- writes; the others are for reading. Without the row nothing that it sealed
-- can be read again. Ids are never used twice. Tenant '' is the chains' key.
CREATE TABLE journal_tenant_key (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    born bigint NOT NULL,    -- master key when it was made
    master bigint NOT NULL,  -- master key that wraps it
    wrapped bytea NOT NULL,
    UNIQUE (tenant, born)
);
