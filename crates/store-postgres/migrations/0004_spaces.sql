-- A space that is being deleted has a hidden name: an empty org and a random project. Its own name is in the last two
-- columns until it is removed.
ALTER TABLE memcloud.spaces
    ADD COLUMN created_at       bigint,
    ADD COLUMN description      text NOT NULL DEFAULT '',
    ADD COLUMN learns           boolean NOT NULL DEFAULT true,
    ADD COLUMN deleting_org     text COLLATE "C",
    ADD COLUMN deleting_project text COLLATE "C";
CREATE UNIQUE INDEX spaces_deleting ON memcloud.spaces (deleting_org, deleting_project) WHERE deleting_org IS NOT NULL;
UPDATE memcloud.spaces s SET created_at = (SELECT min(e.ingested_at) FROM memcloud.episodes e WHERE e.space = s.id);
