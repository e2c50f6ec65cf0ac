-- A space that is being deleted has a hidden name: an empty org and a random project. Its own name is in the last two
-- columns until it is removed.
ALTER TABLE spaces ADD COLUMN created_at INTEGER;
ALTER TABLE spaces ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE spaces ADD COLUMN learns INTEGER NOT NULL DEFAULT 1 CHECK (learns IN (0, 1));
ALTER TABLE spaces ADD COLUMN deleting_org TEXT;
ALTER TABLE spaces ADD COLUMN deleting_project TEXT;
CREATE UNIQUE INDEX spaces_deleting ON spaces (deleting_org, deleting_project) WHERE deleting_org IS NOT NULL;
UPDATE spaces SET created_at = (SELECT min(ingested_at) FROM episodes WHERE episodes.space = spaces.id);
