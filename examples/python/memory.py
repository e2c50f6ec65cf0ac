"""Stores two messages, finds one of them, and deletes it again. Uses only Python's own library."""

import json
import os
import urllib.error
import urllib.request
import uuid

URL = os.environ.get("MEMCLOUD_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("MEMCLOUD_API_KEY")
SESSION = {"group_id": "example-python", "session_id": "s1", "user_id": ["ann"], "agent_id": ["assistant"]}


class RequestRefused(Exception):
    """The server refused a request. The message says what happened and what to do."""


def call(method, path, body=None, headers=None):
    """Sends one request and returns its answer."""
    request = urllib.request.Request(URL + path, method=method, headers={"Content-Type": "application/json", **(headers or {})})
    if KEY:
        request.add_header("Authorization", f"Bearer {KEY}")
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        raise RequestRefused(f"{problem['code']}: {problem['detail']} (hint: {problem['hint']})") from error


def remember(text):
    """Stores what Ann said. The key makes it safe to send the request again when the answer was lost."""
    body = {"session": SESSION, "producer": "ann", "produced_for": "assistant", "episode_content": text}
    return call("POST", "/v1/memories", body, {"Idempotency-Key": str(uuid.uuid4())})["id"]


def recall(question, limit=5):
    """Finds what was said, best first."""
    return call("POST", "/v1/memories/search", {"session": SESSION, "query": question, "limit": limit})


def forget(message):
    """Deletes one message for good."""
    call("DELETE", f"/v1/memories/{message}?group_id={SESSION['group_id']}")


if __name__ == "__main__":
    stored = [remember("The spare key is under the blue pot."), remember("On Sundays I bake bread.")]
    for hit in recall("Where is the key?"):
        print(f"{hit['score']:5.2f}  {hit['content']}")
    for message in stored:
        forget(message)
