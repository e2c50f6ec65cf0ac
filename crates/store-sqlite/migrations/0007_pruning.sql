-- episodes: how many the space has. pruned: deletions up to this sequence number are no longer recorded, so an index that
-- has not read them must be built again.
ALTER TABLE spaces ADD COLUMN episodes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spaces ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;
UPDATE spaces SET episodes = (SELECT count(*) FROM episodes e WHERE e.space = spaces.id);
UPDATE spaces SET pruned = max(0, head - max(episodes, 1000));
DELETE FROM deletions WHERE seq <= (SELECT s.pruned FROM spaces s WHERE s.id = deletions.space);
