-- Times are microseconds since 1970 in UTC. Ids are texts.

CREATE TABLE organizations (
    id         TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    name         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role         TEXT NOT NULL,
    password     TEXT, -- a PHC string; none until one is set
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id           TEXT PRIMARY KEY,
    user         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_user ON tokens (user);

-- Links that sign a user in once; one for each user.
CREATE TABLE sign_ins (
    user       TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash       BLOB NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE instances (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    name         TEXT NOT NULL,
    target       TEXT NOT NULL,
    topology     TEXT NOT NULL,
    wanted       TEXT NOT NULL,
    state        TEXT NOT NULL,
    message      TEXT, -- why it is in this state
    hint         TEXT,
    url          TEXT,
    version      TEXT,
    has_llm      INTEGER NOT NULL,
    placement    TEXT NOT NULL, -- JSON
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX instances_by_name ON instances (organization, name) WHERE state <> 'removed';

CREATE TABLE settings (
    instance TEXT PRIMARY KEY REFERENCES instances (id),
    key      TEXT NOT NULL, -- the name of the sealing key
    sealed   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys of instances that are revoked later, so that a new one overlaps with an old one.
CREATE TABLE revocations (
    instance TEXT NOT NULL REFERENCES instances (id),
    key      TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (instance, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE operations (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    instance     TEXT NOT NULL REFERENCES instances (id),
    kind         TEXT NOT NULL,
    state        TEXT NOT NULL,
    on_failure   TEXT NOT NULL,
    message      TEXT, -- why it failed
    hint         TEXT,
    cancel       INTEGER NOT NULL,
    actor        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX operations_by_organization ON operations (organization, created_at, id);
CREATE INDEX operations_by_instance ON operations (instance, created_at, id);
-- One at a time for each instance.
CREATE UNIQUE INDEX operations_open ON operations (instance) WHERE state IN ('queued', 'running', 'undoing');

CREATE TABLE steps (
    operation  TEXT NOT NULL REFERENCES operations (id),
    position   INTEGER NOT NULL,
    name       TEXT NOT NULL,
    planned    TEXT NOT NULL, -- JSON
    state      TEXT NOT NULL,
    outputs    TEXT, -- JSON
    message    TEXT, -- why it failed
    hint       TEXT,
    started_at INTEGER,
    ended_at   INTEGER,
    PRIMARY KEY (operation, position),
    UNIQUE (operation, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    operation TEXT NOT NULL REFERENCES operations (id),
    number    INTEGER NOT NULL, -- from 1 in each operation
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    step      TEXT,
    state     TEXT NOT NULL,
    message   TEXT NOT NULL,
    PRIMARY KEY (operation, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
    instance  TEXT NOT NULL REFERENCES instances (id),
    criterion TEXT NOT NULL,
    found     TEXT NOT NULL, -- JSON
    PRIMARY KEY (instance, criterion)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    number       INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    at           INTEGER NOT NULL,
    user         TEXT, -- none for the control plane itself
    name         TEXT NOT NULL,
    token        TEXT,
    address      TEXT,
    action       TEXT NOT NULL,
    subject      TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_organization ON audit (organization, number);
