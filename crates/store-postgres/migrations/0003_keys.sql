-- The keys that the instance made. A key itself is kept nowhere; hash is its SHA-256.
CREATE TABLE memcloud.api_keys (
    id           text COLLATE "C" PRIMARY KEY,
    name         text NOT NULL,
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    rights       text NOT NULL, -- 'read write admin', or some of these
    spaces       jsonb,         -- NULL opens all spaces
    created_at   bigint NOT NULL,
    last_used_at bigint,
    expires_at   bigint,
    revoked_at   bigint
);
