MATCH (e:Unembedded) WHERE e.memory = $memory
RETURN e.uid AS uid LIMIT $most
