UNWIND $vectors AS v
MATCH (e:Episode {memory: $memory, uid: v.uid})
SET e.embedding = v.embedding
REMOVE e:Unembedded
