-- episodes: how many the space has. pruned: deletions up to this sequence number are no longer recorded, so an index that
-- has not read them must be built again.
ALTER TABLE memcloud.spaces
    ADD COLUMN episodes bigint NOT NULL DEFAULT 0,
    ADD COLUMN pruned   bigint NOT NULL DEFAULT 0;
UPDATE memcloud.spaces s SET episodes = (SELECT count(*) FROM memcloud.episodes e WHERE e.space = s.id);
UPDATE memcloud.spaces SET pruned = greatest(0, head - greatest(episodes, 1000));
DELETE FROM memcloud.deletions d USING memcloud.spaces s WHERE s.id = d.space AND d.seq <= s.pruned;
