-- Sets of facts. A set belongs to a space, or to an organisation; the other of the two is NULL or empty. metadata: what its
-- messages have in common, as a JSON object with sorted keys. keys: the keys of that, as a JSON list.
CREATE TABLE fact_sets (
    id       INTEGER PRIMARY KEY,
    space    INTEGER REFERENCES spaces (id),
    org      TEXT NOT NULL,
    metadata TEXT NOT NULL,
    keys     TEXT NOT NULL,
    CHECK ((space IS NULL) = (org <> ''))
) STRICT;
CREATE UNIQUE INDEX fact_sets_by_definition ON fact_sets (ifnull(space, 0), org, metadata);

-- Types of sets, which share categories: all sets of a scope with these keys.
CREATE TABLE set_types (
    id          BLOB PRIMARY KEY,
    space       INTEGER REFERENCES spaces (id),
    org         TEXT NOT NULL,
    keys        TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    CHECK ((space IS NULL) = (org <> ''))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX set_types_by_definition ON set_types (ifnull(space, 0), org, keys);

-- Categories of a set, of a type of sets, or built in (both NULL).
CREATE TABLE categories (
    id          BLOB NOT NULL PRIMARY KEY,
    fact_set    INTEGER REFERENCES fact_sets (id) ON DELETE CASCADE,
    set_type    BLOB REFERENCES set_types (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    prompt      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    CHECK (fact_set IS NULL OR set_type IS NULL)
) STRICT;
CREATE UNIQUE INDEX categories_by_name ON categories (ifnull(fact_set, 0), ifnull(set_type, x''), name);
CREATE INDEX categories_by_type ON categories (set_type);
CREATE INDEX categories_by_set ON categories (fact_set);

CREATE TABLE category_tags (
    id          BLOB PRIMARY KEY,
    category    BLOB NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    UNIQUE (category, name)
) STRICT, WITHOUT ROWID;

-- The names of categories that a set has and does not learn.
CREATE TABLE disabled_categories (
    fact_set INTEGER NOT NULL REFERENCES fact_sets (id) ON DELETE CASCADE,
    name     TEXT NOT NULL,
    PRIMARY KEY (fact_set, name)
) STRICT, WITHOUT ROWID;

-- What is learned together: one category in one set. lease: the 16-byte name of the right to learn, which one learner has
-- until leased_until.
CREATE TABLE targets (
    id           INTEGER PRIMARY KEY,
    fact_set     INTEGER NOT NULL REFERENCES fact_sets (id) ON DELETE CASCADE,
    category     TEXT NOT NULL,
    lease        BLOB,
    leased_until INTEGER NOT NULL DEFAULT 0,
    UNIQUE (fact_set, category)
) STRICT;

-- Messages that wait to be learned from. Ids sort by time, so the rows of a target are in the order of queueing. due: not
-- tried before this. parked: why a message is no longer tried. call: the attempt that is under way, or whose end is unknown.
CREATE TABLE queue (
    target    INTEGER NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    uid       BLOB NOT NULL,
    queued_at INTEGER NOT NULL,
    attempts  INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    parked    TEXT,
    call      BLOB,
    PRIMARY KEY (target, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_by_episode ON queue (uid);

-- Facts, current and past. id: the microsecond in which a fact was learned, or the next free number. valid_to: NULL while it
-- holds. metadata: a JSON object. prompt, model: empty for a fact that was made by hand. vector: f16, little endian.
CREATE TABLE facts (
    id         INTEGER PRIMARY KEY,
    target     INTEGER NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    tag        TEXT NOT NULL,
    feature    TEXT NOT NULL,
    value      TEXT NOT NULL,
    metadata   TEXT NOT NULL DEFAULT '{}',
    valid_from INTEGER NOT NULL,
    valid_to   INTEGER CHECK (valid_to >= valid_from),
    learned_at INTEGER NOT NULL,
    prompt     TEXT NOT NULL,
    model      TEXT NOT NULL,
    vector     BLOB
) STRICT;
CREATE INDEX facts_by_target ON facts (target);

-- The episodes that state a fact.
CREATE TABLE fact_citations (
    fact INTEGER NOT NULL REFERENCES facts (id) ON DELETE CASCADE,
    uid  BLOB NOT NULL,
    PRIMARY KEY (fact, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_citations_by_episode ON fact_citations (uid);

INSERT INTO fact_sets (space, org, metadata, keys)
SELECT DISTINCT space, '', json_object('producer_id', owner), '["producer_id"]' FROM subjects ORDER BY id;
INSERT INTO targets (id, fact_set, category, lease, leased_until)
SELECT s.id, f.id, s.category, s.lease, s.leased_until
FROM subjects s JOIN fact_sets f ON f.space = s.space AND f.metadata = json_object('producer_id', s.owner);
INSERT INTO queue (target, uid, queued_at, attempts, due, parked, call)
SELECT subject, uid, queued_at, attempts, due, parked, call FROM lessons;
INSERT INTO facts (id, target, tag, feature, value, valid_from, valid_to, learned_at, prompt, model, vector)
SELECT id, subject, tag, feature, value, valid_from, valid_to, learned_at, prompt, model, vector FROM features;
INSERT INTO fact_citations (fact, uid) SELECT feature, uid FROM citations;

DROP TABLE citations;
DROP TABLE features;
DROP TABLE lessons;
DROP TABLE subjects;
