// The contents of the first of these turns, in order, until they are large together: `$bytes`, counted in characters.
UNWIND range(0, size($uids) - 1) AS place
MATCH (e:Episode {memory: $memory, uid: $uids[place]})
WITH e ORDER BY place
WITH collect(e) AS found
WITH found, reduce(first = [0, 0], e IN found |
  CASE WHEN first[1] >= $bytes THEN first
  ELSE [first[0] + 1, first[1] + coalesce(size(toStringOrNull(e.content)), 0) + coalesce(size(toStringOrNull(e.metadata)), 0)]
  END)[0] AS most
UNWIND found[0..most] AS e
RETURN e.uid AS uid, e.content AS content, e.metadata AS metadata
