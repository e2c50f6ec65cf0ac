-- Episodes that stand, or may stand, in another database without being recorded here.
-- at, due: microseconds of the Unix epoch; uids: 16-byte ids, one after the other.
-- withdrawn: 0 while a server is about to record them; 1 when they are to be removed there, from `due` on, as often as
-- `rounds` says.
CREATE TABLE intents (
    id        BLOB PRIMARY KEY CHECK (length(id) = 16),
    at        INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
    due       INTEGER NOT NULL,
    rounds    INTEGER NOT NULL,
    uids      BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX intents_due ON intents (due) WHERE withdrawn = 1;

-- Memories made before this step keep what was said in their own rows.
INSERT INTO meta (name, value) SELECT 'home', 'records' WHERE EXISTS (SELECT 1 FROM episodes);
