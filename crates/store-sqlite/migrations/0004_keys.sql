-- The keys that the instance made. A key itself is kept nowhere; hash is its SHA-256.
CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL CHECK (length(hash) = 32),
    rights       TEXT NOT NULL, -- 'read write admin', or some of these
    spaces       TEXT,          -- JSON; NULL opens all spaces
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;
