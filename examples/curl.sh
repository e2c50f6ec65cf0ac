#!/usr/bin/env bash
# Stores two messages, finds one of them, and deletes the session.
set -euo pipefail

url=${MEMCLOUD_URL:-http://127.0.0.1:8080}
session='{"group_id": "example-curl", "session_id": "s1", "user_id": ["ann"], "agent_id": ["assistant"]}'

# Without a key the server answers programs on its own machine only.
request() {
    curl --silent --show-error --fail-with-body -H 'Content-Type: application/json' \
        ${MEMCLOUD_API_KEY:+-H "Authorization: Bearer $MEMCLOUD_API_KEY"} "$@"
    echo
}

echo 'Store:'
for message in 'The spare key is under the blue pot.' 'On Sundays I bake bread.'; do
    request "$url/v1/memories" -d '{
        "session": '"$session"', "producer": "ann", "produced_for": "assistant", "episode_content": "'"$message"'"
    }'
done

echo 'Search:'
request "$url/v1/memories/search" -d '{"session": '"$session"', "query": "Where is the key?", "limit": 1}'

echo 'Delete:'
request -X DELETE "$url/v1/memories" -d '{"session": '"$session"'}'
