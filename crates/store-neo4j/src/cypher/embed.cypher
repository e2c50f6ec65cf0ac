UNWIND $vectors AS v
MATCH (e:Episode {uid: v.uid}) WHERE e.memory = $memory
SET e.embedding = v.embedding
REMOVE e:Unembedded
