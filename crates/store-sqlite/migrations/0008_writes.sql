-- written: the number of the newest write that stored in the space. The number of the newest write of all is the largest of these
-- and of 'writes' in meta, which other writes keep.
ALTER TABLE spaces ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
