-- One row per fact that holds for the whole memory: its name, its vector space, the home of its episodes.
CREATE TABLE memcloud.meta (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- head: the sequence number of the space's newest change.
CREATE TABLE memcloud.spaces (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org     text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    head    bigint NOT NULL DEFAULT 0,
    UNIQUE (org, project)
);

CREATE TABLE memcloud.sessions (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space bigint NOT NULL REFERENCES memcloud.spaces (id),
    name  text COLLATE "C" NOT NULL,
    UNIQUE (space, name)
);

-- role: 0 user, 1 agent.
CREATE TABLE memcloud.members (
    session bigint NOT NULL REFERENCES memcloud.sessions (id),
    role    smallint NOT NULL CHECK (role IN (0, 1)),
    name    text COLLATE "C" NOT NULL,
    PRIMARY KEY (session, role, name)
);
CREATE INDEX members_by_name ON memcloud.members (name, role);

-- An episode and all that is derived from it, in one row: neither can exist without the other.
-- Times are microseconds of the Unix epoch, UTC. purpose: 0 recall, 1 profile only.
-- Where the episodes are in Neo4j, metadata and content are empty here.
-- words: for people's own SQL; what makes a tsvector too long is left out of it.
CREATE TABLE memcloud.episodes (
    uid          uuid PRIMARY KEY,
    space        bigint NOT NULL REFERENCES memcloud.spaces (id),
    session      bigint NOT NULL REFERENCES memcloud.sessions (id),
    seq          bigint NOT NULL,
    purpose      smallint NOT NULL,
    producer     text NOT NULL,
    produced_for text NOT NULL,
    role         text NOT NULL,
    kind         text NOT NULL,
    created_at   bigint NOT NULL,
    ingested_at  bigint NOT NULL,
    analysis     bytea NOT NULL,
    vector       halfvec,
    metadata     json NOT NULL,
    content      text NOT NULL,
    words        tsvector GENERATED ALWAYS AS (to_tsvector('english', left(content, 100000))) STORED,
    UNIQUE (space, seq)
);
CREATE INDEX episodes_by_time ON memcloud.episodes (space, created_at, uid);
CREATE INDEX episodes_by_session ON memcloud.episodes (session, created_at, uid);
CREATE INDEX episodes_without_vector ON memcloud.episodes (ingested_at, uid) WHERE vector IS NULL AND purpose = 0;
CREATE INDEX episodes_by_words ON memcloud.episodes USING gin (words);

-- What was deleted, so that an index that is behind learns of it. Holds ids only, nothing that was said.
CREATE TABLE memcloud.deletions (
    space bigint NOT NULL REFERENCES memcloud.spaces (id),
    seq   bigint NOT NULL,
    uid   uuid NOT NULL,
    PRIMARY KEY (space, seq)
);

-- Requests that may come again. at: when it was stored.
CREATE TABLE memcloud.requests (
    key     bytea PRIMARY KEY,
    at      bigint NOT NULL,
    request bytea NOT NULL,
    uids    uuid[] NOT NULL
);
CREATE INDEX requests_by_age ON memcloud.requests (at);

-- Episodes that stand, or may stand, in Neo4j without being recorded here.
-- withdrawn: false while a server is about to record them; true when they are to be removed there, from `due` on, as
-- often as `rounds` says.
CREATE TABLE memcloud.intents (
    id        uuid PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    withdrawn boolean NOT NULL DEFAULT false,
    due       timestamptz NOT NULL DEFAULT clock_timestamp(),
    rounds    integer NOT NULL,
    uids      uuid[] NOT NULL
);
CREATE INDEX intents_due ON memcloud.intents (due) WHERE withdrawn;
