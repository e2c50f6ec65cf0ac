// Removes turns, links what came before them to what comes after, and leaves no session and no producer without turns.
MATCH (e:Episode) WHERE e.memory = $memory AND e.uid IN $uids
OPTIONAL MATCH (s:Session {memory: e.memory, space: e.space, name: e.session})
OPTIONAL MATCH (p:Producer)-[:SAID]->(e)
// Their locks, as when turns are put.
SET s.stored_at = s.stored_at, p.name = p.name
WITH collect(e) AS doomed, collect(DISTINCT s) AS sessions
UNWIND doomed AS e
OPTIONAL MATCH (p:Producer)-[:SAID]->(e)
OPTIONAL MATCH (e)-[:NEXT]->(x:Episode)
WITH doomed, sessions, collect(DISTINCT p) AS producers,
     [x IN collect(DISTINCT x) WHERE NOT x IN doomed] AS orphans
FOREACH (e IN doomed | DETACH DELETE e)
WITH sessions, producers, orphans
CALL (orphans) {
  UNWIND orphans AS x
  CALL (x) {
    OPTIONAL MATCH (q:Episode) USING INDEX q:Episode(turn) WHERE q.turn < x.turn
    WITH q, x ORDER BY q.turn DESC LIMIT 1
    RETURN CASE WHEN split(q.turn, ':')[0] = split(x.turn, ':')[0] THEN q END AS before
  }
  MATCH (s:Session {memory: x.memory, space: x.space, name: x.session})
  FOREACH (_ IN CASE WHEN before IS NULL THEN [1] ELSE [] END | MERGE (s)-[:BEGINS]->(x))
  FOREACH (b IN CASE WHEN before IS NULL THEN [] ELSE [before] END | MERGE (b)-[:NEXT]->(x))
}
CALL (sessions) {
  UNWIND sessions AS s
  WITH s WHERE NOT EXISTS { (s)-[:BEGINS]->() }
  DELETE s
}
CALL (producers) {
  UNWIND producers AS p
  WITH p WHERE NOT EXISTS { (p)-[:SAID]->() }
  DELETE p
}
