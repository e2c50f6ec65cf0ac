-- purpose of an episode: 0 recall, 1 profile only, 2 transcript only.

-- What is learned together: one category of facts about one owner in one space.
-- lease, leased_until: who learns about it, and for how long no other server does.
CREATE TABLE memcloud.subjects (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space        bigint NOT NULL REFERENCES memcloud.spaces (id),
    owner        text COLLATE "C" NOT NULL,
    category     text COLLATE "C" NOT NULL,
    lease        uuid,
    leased_until bigint NOT NULL DEFAULT 0,
    UNIQUE (space, owner, category)
);

-- Episodes that wait to be learned from. Ids sort by time, so a subject's rows stand in the order of the queue.
-- due: not tried before this; parked: why it is not tried any more. call: names the attempt that is under way, or that
-- nobody has ended.
CREATE TABLE memcloud.lessons (
    subject   bigint NOT NULL REFERENCES memcloud.subjects (id),
    uid       uuid NOT NULL,
    queued_at bigint NOT NULL,
    attempts  integer NOT NULL DEFAULT 0,
    due       bigint NOT NULL,
    parked    text,
    call      uuid,
    PRIMARY KEY (subject, uid)
);
CREATE INDEX lessons_by_episode ON memcloud.lessons (uid);

-- Facts, present and past. id: the microsecond in which it was learned, moved on where that is taken.
-- valid_to: NULL while it holds.
CREATE TABLE memcloud.features (
    id         bigint PRIMARY KEY,
    subject    bigint NOT NULL REFERENCES memcloud.subjects (id),
    tag        text NOT NULL,
    feature    text NOT NULL,
    value      text NOT NULL,
    valid_from bigint NOT NULL,
    valid_to   bigint CHECK (valid_to >= valid_from),
    learned_at bigint NOT NULL,
    prompt     text NOT NULL,
    model      text NOT NULL,
    vector     halfvec
);
CREATE INDEX features_by_subject ON memcloud.features (subject);

-- The episodes that tell a fact.
CREATE TABLE memcloud.citations (
    feature bigint NOT NULL REFERENCES memcloud.features (id) ON DELETE CASCADE,
    uid     uuid NOT NULL,
    PRIMARY KEY (feature, uid)
);
CREATE INDEX citations_by_episode ON memcloud.citations (uid);

-- What the language model was used for. span: 0 the minute, 1 the day that began then.
CREATE TABLE memcloud.usage (
    span   smallint NOT NULL CHECK (span IN (0, 1)),
    began  bigint NOT NULL,
    calls  bigint NOT NULL,
    tokens bigint NOT NULL,
    PRIMARY KEY (span, began)
);
