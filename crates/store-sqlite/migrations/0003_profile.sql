-- purpose of an episode: 0 recall, 1 profile only, 2 transcript only.

-- What is learned together: one category of facts about one owner in one space.
-- lease, leased_until: who learns about it, a 16-byte name, and for how long nobody else does.
CREATE TABLE subjects (
    id           INTEGER PRIMARY KEY,
    space        INTEGER NOT NULL REFERENCES spaces (id),
    owner        TEXT NOT NULL,
    category     TEXT NOT NULL,
    lease        BLOB,
    leased_until INTEGER NOT NULL DEFAULT 0,
    UNIQUE (space, owner, category)
) STRICT;

-- Episodes that wait to be learned from. Ids sort by time, so a subject's rows stand in the order of the queue.
-- due: not tried before this; parked: why it is not tried any more. call: names the attempt that is under way, or that
-- nobody has ended.
CREATE TABLE lessons (
    subject   INTEGER NOT NULL REFERENCES subjects (id),
    uid       BLOB NOT NULL,
    queued_at INTEGER NOT NULL,
    attempts  INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    parked    TEXT,
    call      BLOB,
    PRIMARY KEY (subject, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX lessons_by_episode ON lessons (uid);

-- Facts, present and past. id: the microsecond in which it was learned, moved on where that is taken.
-- valid_to: NULL while it holds. vector: f16, little endian.
CREATE TABLE features (
    id         INTEGER PRIMARY KEY,
    subject    INTEGER NOT NULL REFERENCES subjects (id),
    tag        TEXT NOT NULL,
    feature    TEXT NOT NULL,
    value      TEXT NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to   INTEGER CHECK (valid_to >= valid_from),
    learned_at INTEGER NOT NULL,
    prompt     TEXT NOT NULL,
    model      TEXT NOT NULL,
    vector     BLOB
) STRICT;
CREATE INDEX features_by_subject ON features (subject);

-- The episodes that tell a fact.
CREATE TABLE citations (
    feature INTEGER NOT NULL REFERENCES features (id) ON DELETE CASCADE,
    uid     BLOB NOT NULL,
    PRIMARY KEY (feature, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX citations_by_episode ON citations (uid);

-- What the language model was used for. span: 0 the minute, 1 the day that began then.
CREATE TABLE usage (
    span   INTEGER NOT NULL CHECK (span IN (0, 1)),
    began  INTEGER NOT NULL,
    calls  INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (span, began)
) STRICT, WITHOUT ROWID;
