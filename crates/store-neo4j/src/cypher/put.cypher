// Writes turns of conversations, and links each to the turn before it and the turn after it.
// Done twice it changes nothing: nodes are merged by their keys, and links are made from what the order says.
UNWIND $turns AS turn
// Writing to the session first makes others who write to it wait: links are never made from two sides at once.
MERGE (s:Session {memory: $memory, space: $space, name: turn.session})
SET s.stored_at = datetime(turn.stored_at)
MERGE (p:Producer {memory: $memory, space: $space, name: turn.producer})
// The same for the producer, who might be removed just now because the last turn of theirs is.
SET p.name = p.name
MERGE (e:Episode {memory: $memory, uid: turn.uid})
SET e += turn.properties, e.space = $space,
    e.created_at = datetime(turn.created_at), e.stored_at = datetime(turn.stored_at)
// Its embedding follows, many at a time: one by one they cost Neo4j more than all the rest of a store.
FOREACH (_ IN CASE WHEN turn.unembedded THEN [1] ELSE [] END | SET e:Unembedded)
MERGE (p)-[:SAID]->(e)
WITH s, e, turn
// One bound for each search, and what lies in another conversation sorted out after it: with two bounds the planner
// would walk the index from its end.
CALL (turn) {
  OPTIONAL MATCH (q:Episode) USING INDEX q:Episode(turn) WHERE q.turn < turn.place
  WITH q, turn ORDER BY q.turn DESC LIMIT 1
  RETURN CASE WHEN q.turn STARTS WITH turn.conversation THEN q END AS before
}
CALL (turn) {
  OPTIONAL MATCH (q:Episode) USING INDEX q:Episode(turn) WHERE q.turn > turn.place
  WITH q, turn ORDER BY q.turn LIMIT 1
  RETURN CASE WHEN q.turn STARTS WITH turn.conversation THEN q END AS after
}
CALL (before, e) {
  WITH before, e WHERE before IS NOT NULL
  OPTIONAL MATCH (before)-[old:NEXT]->(x) WHERE x <> e
  DELETE old
  MERGE (before)-[:NEXT]->(e)
}
CALL (after, e) {
  WITH after, e WHERE after IS NOT NULL
  OPTIONAL MATCH (x)-[old:NEXT]->(after) WHERE x <> e
  DELETE old
  MERGE (e)-[:NEXT]->(after)
}
CALL (s, before, e) {
  WITH s, before, e WHERE before IS NULL
  OPTIONAL MATCH (s)-[old:BEGINS]->(x) WHERE x <> e
  DELETE old
  MERGE (s)-[:BEGINS]->(e)
}
