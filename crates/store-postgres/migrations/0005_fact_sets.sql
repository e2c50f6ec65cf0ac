-- Sets of facts. A set belongs to a space, or to an organisation; the other of the two is NULL or empty. metadata: what its
-- messages have in common. keys: the keys of that, as a sorted list.
CREATE TABLE memcloud.fact_sets (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space    bigint REFERENCES memcloud.spaces (id),
    org      text COLLATE "C" NOT NULL,
    metadata jsonb NOT NULL,
    keys     jsonb NOT NULL,
    CHECK ((space IS NULL) = (org <> ''))
);
CREATE UNIQUE INDEX fact_sets_by_definition ON memcloud.fact_sets (coalesce(space, 0), org, metadata);

-- Types of sets, which share categories: all sets of a scope with these keys.
CREATE TABLE memcloud.set_types (
    id          uuid PRIMARY KEY,
    space       bigint REFERENCES memcloud.spaces (id),
    org         text COLLATE "C" NOT NULL,
    keys        jsonb NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    CHECK ((space IS NULL) = (org <> ''))
);
CREATE UNIQUE INDEX set_types_by_definition ON memcloud.set_types (coalesce(space, 0), org, keys);

-- Categories of a set, of a type of sets, or built in (both NULL).
CREATE TABLE memcloud.categories (
    id          uuid PRIMARY KEY,
    fact_set    bigint REFERENCES memcloud.fact_sets (id) ON DELETE CASCADE,
    set_type    uuid REFERENCES memcloud.set_types (id) ON DELETE CASCADE,
    name        text COLLATE "C" NOT NULL,
    description text NOT NULL,
    prompt      text NOT NULL,
    version     integer NOT NULL,
    CHECK (fact_set IS NULL OR set_type IS NULL)
);
CREATE UNIQUE INDEX categories_by_name ON memcloud.categories
    (coalesce(fact_set, 0), coalesce(set_type, '00000000-0000-0000-0000-000000000000'), name);
CREATE INDEX categories_by_type ON memcloud.categories (set_type);
CREATE INDEX categories_by_set ON memcloud.categories (fact_set);

CREATE TABLE memcloud.category_tags (
    id          uuid PRIMARY KEY,
    category    uuid NOT NULL REFERENCES memcloud.categories (id) ON DELETE CASCADE,
    name        text COLLATE "C" NOT NULL,
    description text NOT NULL,
    UNIQUE (category, name)
);

-- The names of categories that a set has and does not learn.
CREATE TABLE memcloud.disabled_categories (
    fact_set bigint NOT NULL REFERENCES memcloud.fact_sets (id) ON DELETE CASCADE,
    name     text COLLATE "C" NOT NULL,
    PRIMARY KEY (fact_set, name)
);

INSERT INTO memcloud.fact_sets (space, org, metadata, keys)
SELECT DISTINCT space, '', jsonb_build_object('producer_id', owner), '["producer_id"]'::jsonb FROM memcloud.subjects;

-- What is learned together: one category in one set. lease: the right to learn, which one learner has until leased_until.
ALTER TABLE memcloud.subjects RENAME TO targets;
ALTER TABLE memcloud.targets ADD COLUMN fact_set bigint REFERENCES memcloud.fact_sets (id) ON DELETE CASCADE;
UPDATE memcloud.targets t SET fact_set = f.id
FROM memcloud.fact_sets f WHERE f.space = t.space AND f.metadata = jsonb_build_object('producer_id', t.owner);
ALTER TABLE memcloud.targets DROP COLUMN space, DROP COLUMN owner, ALTER COLUMN fact_set SET NOT NULL,
    ADD UNIQUE (fact_set, category);

-- Messages that wait to be learned from. Ids sort by time, so the rows of a target are in the order of queueing. due: not
-- tried before this. parked: why a message is no longer tried. call: the attempt that is under way, or whose end is unknown.
ALTER TABLE memcloud.lessons RENAME TO queue;
ALTER TABLE memcloud.queue RENAME COLUMN subject TO target;
ALTER INDEX memcloud.lessons_by_episode RENAME TO queue_by_episode;
ALTER TABLE memcloud.queue DROP CONSTRAINT lessons_subject_fkey,
    ADD FOREIGN KEY (target) REFERENCES memcloud.targets (id) ON DELETE CASCADE;

-- Facts, current and past. id: the microsecond in which a fact was learned, or the next free number. valid_to: NULL while it
-- holds. prompt, model: empty for a fact that was made by hand.
ALTER TABLE memcloud.features RENAME TO facts;
ALTER TABLE memcloud.facts RENAME COLUMN subject TO target;
ALTER TABLE memcloud.facts ADD COLUMN metadata json NOT NULL DEFAULT '{}';
ALTER INDEX memcloud.features_by_subject RENAME TO facts_by_target;
ALTER TABLE memcloud.facts DROP CONSTRAINT features_subject_fkey,
    ADD FOREIGN KEY (target) REFERENCES memcloud.targets (id) ON DELETE CASCADE;

-- The episodes that state a fact.
ALTER TABLE memcloud.citations RENAME TO fact_citations;
ALTER TABLE memcloud.fact_citations RENAME COLUMN feature TO fact;
ALTER INDEX memcloud.citations_by_episode RENAME TO fact_citations_by_episode;
