-- One row per fact that holds for the whole store: the vector space, the last probe.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- head: the sequence number of the space's newest change.
CREATE TABLE spaces (
    id      INTEGER PRIMARY KEY,
    org     TEXT NOT NULL,
    project TEXT NOT NULL,
    head    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (org, project)
) STRICT;

CREATE TABLE sessions (
    id    INTEGER PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES spaces (id),
    name  TEXT NOT NULL,
    UNIQUE (space, name)
) STRICT;

-- role: 0 user, 1 agent.
CREATE TABLE members (
    session INTEGER NOT NULL REFERENCES sessions (id),
    role    INTEGER NOT NULL CHECK (role IN (0, 1)),
    name    TEXT NOT NULL,
    PRIMARY KEY (session, role, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_name ON members (name, role);

-- An episode and all that is derived from it, in one row: neither can exist without the other.
-- Times are microseconds of the Unix epoch, UTC. vector: f16, little endian. purpose: 0 recall, 1 profile only.
CREATE TABLE episodes (
    id           INTEGER PRIMARY KEY,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    space        INTEGER NOT NULL REFERENCES spaces (id),
    session      INTEGER NOT NULL REFERENCES sessions (id),
    seq          INTEGER NOT NULL,
    purpose      INTEGER NOT NULL,
    producer     TEXT NOT NULL,
    produced_for TEXT NOT NULL,
    role         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    ingested_at  INTEGER NOT NULL,
    analysis     BLOB NOT NULL,
    vector       BLOB,
    metadata     TEXT NOT NULL,
    content      TEXT NOT NULL,
    UNIQUE (space, seq)
) STRICT;
CREATE INDEX episodes_by_time ON episodes (space, created_at, uid);
CREATE INDEX episodes_by_session ON episodes (session, created_at, uid);
CREATE INDEX episodes_without_vector ON episodes (id) WHERE vector IS NULL AND purpose = 0;

-- What was deleted, so that an index that is behind learns of it. Holds ids only, nothing that was said.
CREATE TABLE deletions (
    space INTEGER NOT NULL REFERENCES spaces (id),
    seq   INTEGER NOT NULL,
    uid   BLOB NOT NULL,
    PRIMARY KEY (space, seq)
) STRICT, WITHOUT ROWID;

-- Requests that may come again. at: when it was stored; uids: the 16-byte ids that were answered, one after the other.
CREATE TABLE requests (
    key     BLOB PRIMARY KEY,
    at      INTEGER NOT NULL,
    request BLOB NOT NULL,
    uids    BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_age ON requests (at);
