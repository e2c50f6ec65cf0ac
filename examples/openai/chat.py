"""Chats with a language model that remembers across conversations, through the ordinary `openai` client.

The server needs a language model: see docs/guides/chat.md. Only the base URL and the headers are particular to MemCloud.
"""

import os

from openai import OpenAI

URL = os.environ.get("MEMCLOUD_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("MEMCLOUD_API_KEY", "none is needed on this machine")


def conversation(name):
    """A client whose messages are remembered as one conversation of Ann's."""
    headers = {"X-Memory-Group": "example-openai", "X-Memory-User": "ann", "X-Memory-Session": name}
    return OpenAI(base_url=f"{URL}/v1", api_key=KEY, default_headers=headers)


def say(client, text):
    """Says something and prints the answer as it arrives."""
    model = client.models.list().data[0].id
    messages = [{"role": "user", "content": text}]
    for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, end="", flush=True)
    print()


if __name__ == "__main__":
    say(conversation("monday"), "The spare key is under the blue pot.")
    # A new conversation: the model knows this only because the memory recalls it.
    say(conversation("tuesday"), "Where is the spare key?")
