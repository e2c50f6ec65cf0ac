MATCH (e:Episode) WHERE e.memory = $memory AND e.uid IN $uids
RETURN e.uid AS uid, e.content AS content, e.metadata AS metadata
