-- What is deployed: plexspaces.application.v1.Application.
CREATE TABLE reg_app (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant, namespace, name)
);
-- The highest revision ever given, so that it grows over undeployments too.
CREATE TABLE reg_counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
);
