// Stores two messages, finds one of them, and deletes it again. Uses only what Node and browsers have built in.

declare const process: { env: Record<string, string | undefined> };

const url = process.env.MEMCLOUD_URL ?? "http://127.0.0.1:8080";
const key = process.env.MEMCLOUD_API_KEY;
const session = { group_id: "example-typescript", session_id: "s1", user_id: ["ann"], agent_id: ["assistant"] };

interface Stored {
  id: string;
  status: "stored";
}

interface Hit {
  uuid: string;
  content: string;
  producer_id: string;
  timestamp: string;
  score: number;
}

/** Every error of the server has these fields. */
interface Problem {
  code: string;
  detail: unknown;
  hint: string;
}

/** Sends one request and returns its answer. */
async function call<Answer>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: {
      "Content-Type": "application/json",
      ...(key ? { Authorization: `Bearer ${key}` } : {}),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) {
    const problem = (await response.json()) as Problem;
    throw new Error(`${problem.code}: ${JSON.stringify(problem.detail)} (hint: ${problem.hint})`);
  }
  return (await response.json()) as Answer;
}

/** Stores what Ann said. The key makes it safe to send the request again when the answer was lost. */
async function remember(text: string): Promise<string> {
  const body = { session, producer: "ann", produced_for: "assistant", episode_content: text };
  const stored = await call<Stored>("POST", "/v1/memories", body, { "Idempotency-Key": crypto.randomUUID() });
  return stored.id;
}

/** Finds what was said, best first. */
function recall(query: string, limit = 5): Promise<Hit[]> {
  return call<Hit[]>("POST", "/v1/memories/search", { session, query, limit });
}

/** Deletes one message for good. */
async function forget(id: string): Promise<void> {
  await call("DELETE", `/v1/memories/${id}?group_id=${session.group_id}`);
}

const stored = [await remember("The spare key is under the blue pot."), await remember("On Sundays I bake bread.")];
for (const hit of await recall("Where is the key?")) {
  console.log(hit.score.toFixed(2), hit.content);
}
for (const id of stored) {
  await forget(id);
}
