//! Bad input gets a clear JSON error with a stable code, and changes nothing.

use crate::test_instance::{Answer, Instance};
use axum::body::Body;
use memcloud_server::{ApiKeys, Settings};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const STORE: &str = "/v1/memories";
const SEARCH: &str = "/v1/memories/search";

async fn instance() -> Instance {
    let settings = Settings { body_bytes: 3 << 20, ..Settings::default() };
    let instance = Instance::with(ApiKeys::none(), settings, None).await;
    instance.post(STORE, &json!({"session": {"group_id": "g"}, "episode_content": "tea"})).await.ok();
    instance
}

/// Sends each body to a path, and expects a 422 with this code at this place.
async fn refuses(path: &str, rows: &[(Value, &str, Value)]) {
    let instance = instance().await;
    let before = instance.everything().await;
    for (body, code, loc) in rows {
        let answer = instance.post(path, body).await;
        let shown: String = body.to_string().chars().take(200).collect();
        assert_eq!(answer.code(422), *code, "{shown}");
        assert_eq!(answer.json()["detail"][0]["loc"], *loc, "{shown}");
        assert!(answer.text.len() < 2_000, "{shown}");
    }
    assert_eq!(instance.everything().await, before);
}

#[tokio::test]
async fn malformed_json() {
    let instance = instance().await;
    let before = instance.everything().await;
    let deep =
        format!(r#"{{"episode_content":"x","metadata":{{"a":{}{}}}}}"#, "[".repeat(200), "]".repeat(200));
    for body in [
        b"{".as_slice(),
        b"{\"episode_content\": }",
        b"{'episode_content': 'x'}",
        b"{\"episode_content\": \"x\"} trailing",
        b"{\"episode_content\": \"\xff\"}",
        br#"{"episode_content": "\ud800"}"#,
        br#"{"episode_content": "\udc00\ud800"}"#,
        br#"{"episode_content": "x", "episode_content": "y"}"#,
        br#"{"episode_content": "x", "metadata": {"n": 1e999}}"#,
        br#"{"episode_content": "x", "metadata": {"n": NaN}}"#,
        deep.as_bytes(),
    ] {
        for path in [STORE, "/v1/memories/profile", "/v1/memories/batch", SEARCH] {
            let answer = instance.send("POST", path, &[], body.to_vec()).await;
            assert_eq!(answer.code(422), "invalid_json", "{}", String::from_utf8_lossy(body));
            assert_eq!(answer.json()["detail"][0]["type"], "json_invalid");
        }
    }
    assert_eq!(instance.everything().await, before);
}

#[tokio::test]
async fn missing_fields() {
    let body = json!(["body"]);
    for path in [STORE, SEARCH] {
        let instance = instance().await;
        for nothing in ["", " \n"] {
            let answer = instance.send("POST", path, &[], nothing).await;
            assert_eq!(answer.code(422), "missing_field");
            assert_eq!(answer.json()["detail"][0]["loc"], body);
        }
    }
    refuses(STORE, &[(json!({"producer": "x"}), "missing_field", json!(["body", "episode_content"]))]).await;
    refuses(SEARCH, &[(json!({"limit": 1}), "missing_field", json!(["body", "query"]))]).await;
}

#[tokio::test]
async fn too_many_members() {
    let names = |count: usize| (0..count).map(|i| format!("member-{i:04}")).collect::<Vec<_>>();
    let session = |users: usize, agents: usize| json!({"group_id": "g", "session_id": "s", "user_id": names(users), "agent_id": names(agents)});
    let body =
        |session: Value| json!({"session": session, "producer": "member-0000", "episode_content": "x"});
    let place = json!(["body", "session"]);
    refuses(
        STORE,
        &[
            (body(session(1_001, 0)), "too_many_members", place.clone()),
            (body(session(501, 500)), "too_many_members", place),
        ],
    )
    .await;
    let batch = |session: Value| json!({"session": {"group_id": "g"}, "episodes": [body(session)]});
    let place_in_batch = json!(["body", "episodes", 0, "session"]);
    refuses("/v1/memories/batch", &[(batch(session(1, 1_000)), "too_many_members", place_in_batch)]).await;
    // A session with the most members is stored. The answer omits the headers that would be too long.
    let answer = instance().await.post(STORE, &body(session(500, 500))).await;
    assert_eq!(answer.status, 200);
    let has = |name: &str| answer.headers.contains_key(name);
    assert!(has("group-id") && !has("user-id") && !has("agent-id"));
}

#[tokio::test]
async fn metadata_beyond_its_limits() {
    let nested = |levels: usize| (1..levels).fold(json!({"a": 1}), |inner, _| json!({ "a": inner }));
    let under_long_key: serde_json::Map<_, _> = (0..100).map(|n| (n.to_string(), json!(n))).collect();
    let cases = [
        (json!({"text": "x".repeat(70_000)}), "metadata_too_large"),
        (json!({"k".repeat(1_000): under_long_key}), "metadata_too_large"),
        (nested(17), "metadata_too_deep"),
        (json!({"list": vec![0; 1_000]}), "too_many_values"),
        (json!({"image_caption": "x".repeat(17_000)}), "caption_too_long"),
    ];
    let message = |metadata: &Value| json!({"episode_content": "x", "metadata": metadata});
    let alone = cases.clone().map(|(metadata, code)| (message(&metadata), code, json!(["body", "metadata"])));
    refuses(STORE, &alone).await;
    let in_batch = cases.map(|(metadata, code)| {
        let batch = json!({"episodes": [message(&json!({})), message(&metadata)]});
        (batch, code, json!(["body", "episodes", 1, "metadata"]))
    });
    refuses("/v1/memories/batch", &in_batch).await;
    let instance = instance().await;
    let longest = "x".repeat(16 << 10);
    for accepted in [nested(16), json!({"list": vec![0; 999]}), json!({"caption": longest, "text": longest})]
    {
        instance.post(STORE, &message(&accepted)).await.ok();
    }
}

#[tokio::test]
async fn wrongly_typed_fields() {
    let message = |key: &str, value: Value| {
        let mut message = json!({"episode_content": "x"});
        message[key] = value;
        message
    };
    let session = |key: &str, value: Value| message("session", json!({key: value}));
    refuses(
        STORE,
        &[
            (json!([]), "wrong_type", json!(["body"])),
            (json!("text"), "wrong_type", json!(["body"])),
            (json!(null), "wrong_type", json!(["body"])),
            (message("episode_content", json!(["x"])), "wrong_type", json!(["body", "episode_content"])),
            (message("episode_content", json!(7)), "wrong_type", json!(["body", "episode_content"])),
            (message("episode_content", json!(null)), "wrong_type", json!(["body", "episode_content"])),
            (message("producer", json!(["ann"])), "wrong_type", json!(["body", "producer"])),
            (message("produced_for", json!({})), "wrong_type", json!(["body", "produced_for"])),
            (message("episode_type", json!(1)), "wrong_type", json!(["body", "episode_type"])),
            (message("role", json!(1)), "wrong_type", json!(["body", "role"])),
            (message("metadata", json!("x")), "wrong_type", json!(["body", "metadata"])),
            (message("session", json!("x")), "wrong_type", json!(["body", "session"])),
            (session("group_id", json!(1)), "wrong_type", json!(["body", "session", "group_id"])),
            (session("session_id", json!(["s"])), "wrong_type", json!(["body", "session", "session_id"])),
            (session("user_id", json!("ann")), "wrong_type", json!(["body", "session", "user_id"])),
            (session("agent_id", json!("bot")), "wrong_type", json!(["body", "session", "agent_id"])),
            (session("user_id", json!(["ann", 1])), "wrong_type", json!(["body", "session", "user_id", 1])),
            (session("user_id", json!(["ann", ""])), "empty_name", json!(["body", "session", "user_id", 1])),
        ],
    )
    .await;
    let search = |key: &str, value: Value| {
        let mut search = json!({"query": "tea", "session": {"group_id": "g"}});
        search[key] = value;
        search
    };
    refuses(
        SEARCH,
        &[
            (search("query", json!(1)), "wrong_type", json!(["body", "query"])),
            (search("query", json!(null)), "wrong_type", json!(["body", "query"])),
            (search("limit", json!("5")), "wrong_type", json!(["body", "limit"])),
            (search("limit", json!(1.5)), "wrong_type", json!(["body", "limit"])),
            (search("limit", json!(true)), "wrong_type", json!(["body", "limit"])),
            (search("explain", json!("yes")), "wrong_type", json!(["body", "explain"])),
            (search("filter", json!("producer_id = x")), "wrong_type", json!(["body", "filter"])),
            (
                search("filter", json!({"producer_id": 1})),
                "wrong_type",
                json!(["body", "filter", "producer_id"]),
            ),
            (search("filter", json!({"m.x": [1]})), "wrong_type", json!(["body", "filter", "m.x"])),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_bare_string_for_user_id_is_refused_as_fastapi_does() {
    let instance = instance().await;
    let body = json!({"session": {"user_id": "ann"}, "episode_content": "x"});
    let answer = instance.post(STORE, &body).await;
    assert_eq!(answer.code(422), "wrong_type");
    let expected = json!([{
        "type": "list_type",
        "loc": ["body", "session", "user_id"],
        "msg": "Input should be a valid list",
        "input": "ann"
    }]);
    assert_eq!(answer.json()["detail"], expected);
}

#[tokio::test]
async fn content_that_is_empty_or_too_long() {
    let place = json!(["body", "episode_content"]);
    let message = |content: String| json!({"episode_content": content});
    refuses(
        STORE,
        &[
            (message(String::new()), "empty_content", place.clone()),
            (message(" \n\t".into()), "empty_content", place.clone()),
            (message("\u{200b}".into()), "empty_content", place.clone()),
            (message("\u{feff} \u{e0061}\u{202e}".into()), "empty_content", place.clone()),
            (message("x".repeat((1 << 20) + 1)), "content_too_long", place.clone()),
            (message("é".repeat(600_000)), "content_too_long", place),
        ],
    )
    .await;
    instance().await.post(STORE, &message("x".repeat(1 << 20))).await.ok();
}

#[tokio::test]
async fn nul_characters() {
    let field = |key: &str| {
        let mut message = json!({"episode_content": "x"});
        message[key] = json!("a\0b");
        message
    };
    refuses(
        STORE,
        &[
            (field("episode_content"), "nul_character", json!(["body", "episode_content"])),
            (field("producer"), "nul_character", json!(["body", "producer"])),
            (field("episode_type"), "nul_character", json!(["body", "episode_type"])),
            (
                json!({"episode_content": "x", "metadata": {"a": ["\0"]}}),
                "nul_character",
                json!(["body", "metadata"]),
            ),
            (
                json!({"episode_content": "x", "metadata": {"\0": 1}}),
                "nul_character",
                json!(["body", "metadata"]),
            ),
            (
                json!({"episode_content": "x", "session": {"user_id": ["\0"]}}),
                "nul_character",
                json!(["body", "session", "user_id"]),
            ),
        ],
    )
    .await;
    refuses(SEARCH, &[(json!({"query": "\0"}), "nul_character", json!(["body", "query"]))]).await;
    refuses(
        SEARCH,
        &[(
            json!({"query": "x", "filter": {"producer_id": "\0"}}),
            "nul_character",
            json!(["body", "filter", "producer_id"]),
        )],
    )
    .await;
}

/// A name one byte longer than the limit.
fn long() -> String {
    "n".repeat(1025)
}

#[tokio::test]
async fn a_name_that_is_too_long_is_refused_where_it_is() {
    let with = |key: &str, value: Value| {
        let mut message = json!({"episode_content": "x"});
        message[key] = value;
        message
    };
    let session = |key: &str, value: Value| with("session", json!({key: value}));
    let at = |field: &str| json!(["body", "session", field]);
    refuses(
        STORE,
        &[
            (session("group_id", json!(long())), "name_too_long", at("group_id")),
            (session("session_id", json!(long())), "name_too_long", at("session_id")),
            (session("user_id", json!([long()])), "name_too_long", at("user_id")),
            (session("agent_id", json!([long()])), "name_too_long", at("agent_id")),
            (with("producer", json!(long())), "name_too_long", json!(["body", "producer"])),
            (with("produced_for", json!(long())), "name_too_long", json!(["body", "produced_for"])),
            (with("role", json!(long())), "name_too_long", json!(["body", "role"])),
            (with("episode_type", json!(long())), "name_too_long", json!(["body", "episode_type"])),
        ],
    )
    .await;
    let batch = |second: Value| json!({"episodes": [{"episode_content": "x"}, second]});
    let item = |path: &[&str]| {
        let mut loc = vec![json!("body"), json!("episodes"), json!(1)];
        loc.extend(path.iter().map(|step| json!(step)));
        Value::from(loc)
    };
    refuses(
        "/v1/memories/batch",
        &[
            (batch(with("role", json!(long()))), "name_too_long", item(&["role"])),
            (batch(session("session_id", json!(long()))), "name_too_long", item(&["session", "session_id"])),
            (batch(with("episode_content", json!(" "))), "empty_content", item(&["episode_content"])),
        ],
    )
    .await;
    refuses(
        SEARCH,
        &[(json!({"query": "x", "session": {"group_id": long()}}), "name_too_long", at("group_id"))],
    )
    .await;
}

#[tokio::test]
async fn a_header_that_is_too_long_is_refused_as_a_header() {
    let instance = instance().await;
    let body = json!({"session": {"group_id": "g", "user_id": ["ann"]}, "episode_content": "x"}).to_string();
    for (header, place) in [
        ("group-id", "group-id"),
        ("group_id", "group-id"),
        ("session-id", "session-id"),
        ("user-id", "user-id"),
        ("agent-id", "agent-id"),
        ("Idempotency-Key", "Idempotency-Key"),
    ] {
        let answer = instance.send("POST", STORE, &[(header, &long())], body.clone()).await;
        assert_eq!(answer.code(422), "name_too_long", "{header}");
        assert_eq!(answer.json()["detail"][0]["loc"], json!(["header", place]), "{header}");
    }
}

/// The code and the places of all problems of a body.
async fn problems(path: &str, body: &Value) -> (String, Vec<Value>) {
    let answer = instance().await.post(path, body).await;
    let code = answer.code(422);
    let detail = answer.json()["detail"].as_array().unwrap().clone();
    (code, detail.into_iter().map(|problem| problem["loc"].clone()).collect())
}

#[tokio::test]
async fn all_problems_of_a_body_are_reported_together() {
    let body = json!({"producer": 1, "metadata": "x", "session": {"user_id": ["ann", 2, null]}});
    let (code, places) = problems(STORE, &body).await;
    assert_eq!(code, "wrong_type");
    assert_eq!(
        places,
        [
            json!(["body", "producer"]),
            json!(["body", "metadata"]),
            json!(["body", "session", "user_id", 1]),
            json!(["body", "session", "user_id", 2]),
            json!(["body", "episode_content"]),
        ]
    );
    let body = json!({"episode_content": " ", "role": long(), "episode_type": "a\u{0}b"});
    let (code, places) = problems(STORE, &body).await;
    assert_eq!(code, "name_too_long");
    assert_eq!(
        places,
        [json!(["body", "role"]), json!(["body", "episode_type"]), json!(["body", "episode_content"])]
    );
    let body = json!({"query": "", "limit": 0, "as_of": "noon", "filter": {"user_id": "x", "m.x": []}});
    let (code, places) = problems(SEARCH, &body).await;
    assert_eq!(code, "unknown_filter_key");
    assert_eq!(
        places,
        [
            json!(["body", "filter", "user_id"]),
            json!(["body", "filter", "m.x"]),
            json!(["body", "query"]),
            json!(["body", "limit"]),
            json!(["body", "as_of"]),
        ]
    );
    let body = json!({"episodes": [{"episode_content": ""}, {"episode_content": "x"}, {"episode_content": "\u{0}"}]});
    let (_, places) = problems("/v1/memories/batch", &body).await;
    assert_eq!(
        places,
        [
            json!(["body", "episodes", 0, "episode_content"]),
            json!(["body", "episodes", 2, "episode_content"])
        ]
    );
}

/// Sends a request that has these problems, in any order, and no others.
async fn has_problems(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
    expected: &[(&str, &str)],
) {
    let instance = instance().await;
    let before = instance.everything().await;
    let answer = instance.send(method, path, headers, body.to_string()).await;
    answer.code(422);
    let detail = answer.json()["detail"].as_array().unwrap().clone();
    let place = |problem: &Value| {
        let steps = problem["loc"].as_array().unwrap().iter();
        steps.map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned)).collect::<Vec<_>>()
    };
    let mut found: Vec<(String, &str)> =
        detail.iter().map(|problem| (place(problem).join("."), problem["type"].as_str().unwrap())).collect();
    found.sort();
    let mut expected: Vec<(String, &str)> =
        expected.iter().map(|(place, kind)| ((*place).to_owned(), *kind)).collect();
    expected.sort();
    assert_eq!(found, expected, "{method} {path} {body}: {}", answer.text);
    assert_eq!(instance.everything().await, before);
}

#[tokio::test]
async fn wrong_types_missing_fields_and_broken_rules_of_a_store_are_reported_together() {
    let store = json!({
        "producer": 1, "role": long(), "episode_content": "\0", "timestamp": "noon",
        "session": {"user_id": ["", 2, "ann"], "agent_id": ["bot", ""], "group_id": long()},
    });
    let expected = [
        ("body.producer", "string_type"),
        ("body.role", "value_error"),
        ("body.episode_content", "value_error"),
        ("body.timestamp", "value_error"),
        ("body.session.user_id.0", "value_error"),
        ("body.session.user_id.1", "string_type"),
        ("body.session.agent_id.1", "value_error"),
        ("body.session.group_id", "value_error"),
    ];
    for path in [STORE, "/v1/memories/episodic", "/v1/memories/profile", "/memmachine/v1/memories"] {
        has_problems("POST", path, &[], &store, &expected).await;
    }
    let missing = json!({"metadata": {"timestamp": "noon"}, "episode_type": long()});
    let expected = [
        ("body.episode_content", "missing"),
        ("body.metadata.timestamp", "value_error"),
        ("body.episode_type", "value_error"),
        ("header.Idempotency-Key", "value_error"),
        ("header.user-id", "value_error"),
    ];
    let headers = [("Idempotency-Key", "é"), ("user-id", &long())];
    has_problems("POST", STORE, &headers, &missing, &expected).await;
    let forget = json!({"session": {"group_id": 1, "user_id": [""]}});
    let expected = [
        ("body.session.group_id", "string_type"),
        ("body.session.session_id", "missing"),
        ("body.session.user_id.0", "value_error"),
    ];
    has_problems("DELETE", STORE, &[], &forget, &expected).await;
}

#[tokio::test]
async fn every_problem_of_a_batch_is_reported_at_its_item() {
    let batch = json!({
        "session": {"group_id": "g"},
        "episodes": [
            7,
            {"episode_content": " ", "role": 1},
            {"role": "user"},
            {"episode_content": "x", "session": {"group_id": "other", "user_id": ["ann", ""]}},
            {"episode_content": "x", "metadata": [], "producer": long()},
        ],
    });
    let expected = [
        ("body.episodes.0", "dict_type"),
        ("body.episodes.1.episode_content", "value_error"),
        ("body.episodes.1.role", "string_type"),
        ("body.episodes.2.episode_content", "missing"),
        ("body.episodes.3.session.group_id", "value_error"),
        ("body.episodes.3.session.user_id.1", "value_error"),
        ("body.episodes.4.metadata", "dict_type"),
        ("body.episodes.4.producer", "value_error"),
    ];
    has_problems("POST", "/v1/memories/batch", &[], &batch, &expected).await;
    let unread = json!({"session": {"group_id": 1}, "episodes": [{"episode_content": "", "session": {"group_id": "g"}}]});
    let expected =
        [("body.session.group_id", "string_type"), ("body.episodes.0.episode_content", "value_error")];
    has_problems("POST", "/v1/memories/batch", &[], &unread, &expected).await;
}

#[tokio::test]
async fn every_problem_of_a_search_is_reported() {
    let search = json!({
        "limit": 0, "as_of": 7, "explain": "yes", "filter": {"user_id": "x", "m.x": []},
        "session": {"user_id": "ann", "group_id": long()},
    });
    let expected = [
        ("body.query", "missing"),
        ("body.limit", "value_error"),
        ("body.as_of", "string_type"),
        ("body.explain", "bool_type"),
        ("body.filter.user_id", "value_error"),
        ("body.filter.m.x", "scalar_type"),
        ("body.session.user_id", "list_type"),
        ("body.session.group_id", "value_error"),
        ("query.shape", "value_error"),
        ("query.explain", "bool_parsing"),
    ];
    has_problems("POST", "/v1/memories/search?shape=round&explain=7", &[], &search, &expected).await;
    let search = json!({"query": "\0", "limit": "5", "filter": "x"});
    let expected = [("body.query", "value_error"), ("body.limit", "int_type"), ("body.filter", "dict_type")];
    for path in ["/v1/memories/episodic/search", "/v1/memories/profile/search"] {
        has_problems("POST", path, &[], &search, &expected).await;
    }
}

#[tokio::test]
async fn every_problem_of_a_key_a_space_and_a_chat_is_reported() {
    let key = json!({"name": 1, "rights": ["read", "fly", 7], "spaces": ["g", "", 3], "expires_at": "noon"});
    let expected = [
        ("body.name", "string_type"),
        ("body.rights.1", "value_error"),
        ("body.rights.2", "value_error"),
        ("body.spaces.1", "too_short"),
        ("body.spaces.2", "string_type"),
        ("body.expires_at", "value_error"),
    ];
    has_problems("POST", "/v1/keys", &[], &key, &expected).await;
    let key = json!({"name": " ", "rights": "read", "spaces": []});
    let expected = [("body.name", "value_error"), ("body.rights", "list_type"), ("body.spaces", "too_short")];
    has_problems("POST", "/v1/keys", &[], &key, &expected).await;
    let space = json!({"description": "a\0b", "learns": "yes"});
    let expected = [
        ("path.org", "value_error"),
        ("path.project", "value_error"),
        ("body.description", "value_error"),
        ("body.learns", "bool_type"),
    ];
    has_problems("PATCH", "/v1/spaces/a%00/b%00", &[], &space, &expected).await;
    let chat = json!({
        "session": {"user_id": ["", "ann"], "group_id": long()}, "messages": [{"role": "wizard", "content": 7}],
        "limit": "5", "stream": 1, "model": 2,
    });
    let expected = [
        ("body.session.user_id.0", "value_error"),
        ("body.session.group_id", "value_error"),
        ("body.messages.0.role", "value_error"),
        ("body.messages.0.content", "content_type"),
        ("body.limit", "int_type"),
        ("body.stream", "bool_type"),
        ("body.model", "string_type"),
    ];
    has_problems("POST", "/v1/chat", &[], &chat, &expected).await;
    let chat = json!({"limit": 0, "session": 1});
    let expected =
        [("body.messages", "missing"), ("body.limit", "value_error"), ("body.session", "dict_type")];
    has_problems("POST", "/v1/chat", &[], &chat, &expected).await;
}

#[tokio::test]
async fn every_problem_of_a_query_string_and_a_path_is_reported() {
    let expected = [
        ("query.limit", "value_error"),
        ("query.cursor", "value_error"),
        ("query.session_id", "value_error"),
        ("query.group_id", "value_error"),
    ];
    let list = "/v1/memories?limit=0&cursor=x&session_id=a%00&group_id=b%00";
    has_problems("GET", list, &[], &json!(null), &expected).await;
    let expected = [("query.limit", "int_parsing"), ("query.cursor", "value_error")];
    has_problems("GET", "/v1/spaces?limit=x&cursor=y", &[], &json!(null), &expected).await;
    let expected =
        [("query.as_of", "value_error"), ("query.user_id", "value_error"), ("query.group_id", "value_error")];
    let facts = "/v1/memories/profile?as_of=noon&user_id=%00&group_id=%00";
    has_problems("GET", facts, &[], &json!(null), &expected).await;
    let expected = [("path.id", "value_error"), ("query.group_id", "value_error")];
    for (method, path) in
        [("GET", "/v1/memories"), ("DELETE", "/v1/memories"), ("DELETE", "/v1/memories/profile")]
    {
        let path = format!("{path}/x?group_id=%00");
        has_problems(method, &path, &[], &json!(null), &expected).await;
    }
}

#[tokio::test]
async fn a_nul_character_is_reported_at_its_field() {
    let instance = instance().await;
    for (method, path, body, says) in [
        ("PATCH", "/v1/spaces/universal/g", json!({"description": "\0"}), "the description contains"),
        ("GET", "/v1/memories?group_id=%00", json!(null), "the value contains"),
    ] {
        let answer = instance.send(method, path, &[], body.to_string()).await;
        let said = answer.json()["detail"][0]["msg"].clone();
        assert_eq!(said, format!("{says} a NUL character"), "{path}");
    }
}

#[tokio::test]
async fn at_most_a_hundred_problems_are_reported() {
    let body = json!({"session": {"user_id": vec![1; 90_000]}, "episode_content": "x"});
    let answer = instance().await.post(STORE, &body).await;
    assert_eq!(answer.code(422), "wrong_type");
    assert_eq!(answer.json()["detail"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn a_missing_field_shows_the_object_that_lacks_it() {
    let answer = instance().await.post(STORE, &json!({"producer": "ann"})).await;
    assert_eq!(answer.json()["detail"][0]["input"], json!({"producer": "ann"}));
}

#[tokio::test]
async fn a_long_wrong_value_is_shown_cut() {
    let instance = instance().await;
    for wrong in [json!({"query": "x", "limit": "é".repeat(5_000)}), json!({"query": vec![0; 5_000]})] {
        let answer = instance.post(SEARCH, &wrong).await;
        assert_eq!(answer.code(422), "wrong_type");
        assert_eq!(answer.json()["detail"][0]["input"].as_str().unwrap().chars().count(), 201);
    }
}

#[tokio::test]
async fn absurd_times() {
    let field = |time: Value| json!({"episode_content": "x", "timestamp": time});
    let nested = |time: Value| json!({"episode_content": "x", "metadata": {"timestamp": time}});
    let (own, inside) = (json!(["body", "timestamp"]), json!(["body", "metadata", "timestamp"]));
    refuses(
        STORE,
        &[
            (field(json!("yesterday")), "invalid_time", own.clone()),
            (field(json!("")), "invalid_time", own.clone()),
            (field(json!("2023-02-30T00:00:00")), "invalid_time", own.clone()),
            (field(json!("0001-01-01T00:00:00Z")), "invalid_time", own.clone()),
            (field(json!("99999-01-01T00:00:00Z")), "invalid_time", own.clone()),
            (field(json!(1e300)), "invalid_time", own.clone()),
            (field(json!(-1e18)), "invalid_time", own.clone()),
            (field(json!({"at": 1})), "invalid_time", own.clone()),
            (field(json!(true)), "invalid_time", own),
            (nested(json!("1:56 pm")), "invalid_time", inside.clone()),
            (nested(json!(1e15)), "invalid_time", inside.clone()),
            (nested(json!([])), "invalid_time", inside),
        ],
    )
    .await;
}

#[tokio::test]
async fn empty_queries_and_limits_out_of_range() {
    let search = |key: &str, value: Value| {
        let mut search = json!({"query": "tea"});
        search[key] = value;
        search
    };
    let (query, limit) = (json!(["body", "query"]), json!(["body", "limit"]));
    for path in [
        SEARCH,
        "/v1/memories/episodic/search",
        "/v1/memories/profile/search",
        "/memmachine/v1/memories/search",
    ] {
        refuses(
            path,
            &[
                (search("query", json!("")), "empty_query", query.clone()),
                (search("query", json!(" \n")), "empty_query", query.clone()),
                (search("query", json!("\u{200b}")), "empty_query", query.clone()),
                (search("query", json!("x".repeat((1 << 20) + 1))), "content_too_long", query.clone()),
                (search("limit", json!(0)), "limit_out_of_range", limit.clone()),
                (search("limit", json!(-1)), "limit_out_of_range", limit.clone()),
                (search("limit", json!(1001)), "limit_out_of_range", limit.clone()),
                (search("limit", json!(u64::MAX)), "limit_out_of_range", limit.clone()),
                (search("limit", json!(1e40)), "limit_out_of_range", limit.clone()),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn filters_on_unknown_keys() {
    let rows: Vec<_> = ["user_id", "content", "metadata", "metadata.", "m.", "uuid", "", "producer_id "]
        .into_iter()
        .map(|key| {
            (
                json!({"query": "x", "filter": {key: "x"}}),
                "unknown_filter_key",
                json!(["body", "filter", key]),
            )
        })
        .collect();
    refuses(SEARCH, &rows).await;
}

#[tokio::test]
async fn a_body_over_the_limit() {
    let instance = instance().await;
    let before = instance.everything().await;
    let body = json!({"episode_content": "x", "metadata": {"much": "x".repeat(3 << 20)}});
    assert_eq!(instance.post(STORE, &body).await.code(413), "payload_too_large");
    assert_eq!(instance.everything().await, before);
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    let instance = instance().await;
    for path in [
        "/",
        "/v1",
        "/v1/memory",
        "/v1/memories/",
        "/v1/sessions/delete",
        "/mcp/tool",
        "/memmachine",
        "/memmachine/v2",
    ] {
        let answer = instance.get(path).await;
        assert_eq!(answer.code(404), "not_found", "{path}");
        assert_eq!(answer.json()["detail"], "Not Found");
    }
    let word = "X".repeat(30);
    for (method, path, allow) in [
        ("PUT", STORE, ["POST", "GET", "DELETE"].as_slice()),
        ("GET", SEARCH, &["POST"]),
        ("POST", "/health", &["GET"]),
        ("POST", "/health/live", &["GET"]),
        ("PATCH", "/memmachine/v1/sessions", &["GET"]),
        ("OPTIONS", STORE, &["POST"]),
        (&word, STORE, &["POST"]),
    ] {
        let answer: Answer = instance.send(method, path, &[], Body::empty()).await;
        assert_eq!(answer.code(405), "method_not_allowed", "{method} {path}");
        assert_eq!(answer.json()["detail"], "Method Not Allowed");
        let allowed = answer.headers["allow"].to_str().unwrap();
        assert!(allow.iter().all(|method| allowed.contains(method)), "{path}: {allowed}");
    }
}

#[tokio::test]
async fn headers_that_are_not_text() {
    let instance = instance().await;
    let request = axum::http::Request::post(STORE)
        .header("host", "localhost")
        .header("group-id", axum::http::HeaderValue::from_bytes(b"\xff").unwrap())
        .body(Body::from(r#"{"episode_content":"x"}"#));
    assert_eq!(instance.call(request.unwrap()).await.code(422), "invalid_header");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        4 => prop::sample::select(vec![
            "session", "producer", "produced_for", "episode_content", "episode_type", "metadata", "timestamp", "role",
            "query", "filter", "limit", "explain", "episodes", "group_id", "session_id", "user_id", "agent_id",
            "producer_id", "metadata.x", "m.timestamp",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn any_json_gets_an_answer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let instance = runtime.block_on(Instance::open());
    let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
    let paths = prop::sample::select(vec![
        ("POST", STORE),
        ("POST", "/v1/memories/profile"),
        ("POST", "/v1/memories/batch"),
        ("POST", SEARCH),
        ("POST", "/memmachine/v1/memories/search"),
        ("DELETE", STORE),
    ]);
    runner
        .run(&(paths, any_json()), |((method, path), body)| {
            let answer = runtime.block_on(instance.send(method, path, &[], body.to_string()));
            prop_assert!(!answer.status.is_server_error(), "{method} {path} {body}: {}", answer.text);
            if !answer.status.is_success() {
                answer.code(answer.status.as_u16());
            }
            Ok(())
        })
        .unwrap();
}
