MATCH (e:Episode) WHERE e.uid IN $uids AND e.memory = $memory
RETURN e.uid AS uid, e.content AS content, e.metadata AS metadata
