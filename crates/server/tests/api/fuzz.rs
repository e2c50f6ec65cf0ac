//! Properties of every route: damaged bodies, odd queries and headers, filters, cursors. Whatever a client sends, the
//! instance answers with a success or with a well-formed error.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::test_instance::{Answer, Instance};

/// The space of the messages.
const SPACE: &str = "/v1/spaces/universal/g";

/// Every operation that reads a body, with a body that it accepts.
fn operations() -> Vec<(&'static str, &'static str, Value)> {
    let session = json!({"group_id": "g", "session_id": "s", "user_id": ["ann"], "agent_id": ["bot"]});
    let message = json!({
        "session": session, "producer": "ann", "produced_for": "bot", "episode_content": "tea", "episode_type": "message",
        "metadata": {"n": 1, "deep": {"list": [1, null]}}, "timestamp": "2024-05-06T07:08:09Z", "role": "user",
    });
    let search = json!({
        "session": session, "query": "tea", "limit": 3, "filter": {"producer_id": "ann", "metadata.n": 1}, "as_of": "2024-05-06",
    });
    let episode =
        json!({"producer": "ann", "episode_content": "tea", "timestamp": 1_715_000_000, "metadata": null});
    let chat = json!({
        "session": session, "messages": [{"role": "user", "content": "tea?"}], "stream": false, "limit": 3,
    });
    vec![
        ("POST", "/v1/memories", message.clone()),
        ("POST", "/v1/memories/episodic", message.clone()),
        ("POST", "/v1/memories/profile", message),
        ("POST", "/v1/memories/batch", json!({"session": session, "episodes": [episode]})),
        ("POST", "/v1/memories/search", search.clone()),
        ("POST", "/v1/memories/episodic/search", search.clone()),
        ("POST", "/v1/memories/profile/search", search),
        ("DELETE", "/v1/memories", json!({"session": session})),
        ("POST", "/v1/chat", chat.clone()),
        ("POST", "/v1/chat/completions", chat),
        (
            "POST",
            "/v1/keys",
            json!({"name": "k", "rights": ["read"], "spaces": ["g"], "expires_at": "2999-01-01"}),
        ),
        ("PATCH", SPACE, json!({"description": "our team", "learns": true})),
        ("DELETE", "/v1/users", json!({"group_id": "g", "user_id": "ann"})),
        ("DELETE", "/v1/sessions", json!({"group_id": "g", "session_id": "s"})),
    ]
}

#[test]
fn every_operation_with_a_body_is_tried() {
    let document: Value = serde_json::from_str(&memcloud_server::openapi_json()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let documented = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        let with_body = methods.filter(|(_, operation)| operation.get("requestBody").is_some());
        with_body.map(move |(method, _)| (method.to_uppercase(), path.clone()))
    });
    let template = |path: &str| if path == SPACE { "/v1/spaces/{org}/{project}" } else { path }.to_owned();
    let tried = operations().into_iter().map(|(method, path, _)| (method.to_owned(), template(path)));
    assert_eq!(tried.collect::<BTreeSet<_>>(), documented.collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn the_bodies_are_accepted_undamaged() {
    let instance = Instance::open().await;
    for (method, path, body) in operations() {
        let answer = instance.send(method, path, &[], body.to_string()).await;
        // Chats need a language model, and a first key must have other rights: with it every request would need a key.
        let refused = ["no_model", "first_key_needs_admin"].iter().any(|code| answer.text.contains(code));
        assert!(answer.status.is_success() || refused, "{method} {path}: {}", answer.text);
    }
}

#[test]
fn damaged_bodies_are_answered() {
    let operations = prop::sample::select(operations());
    check(&(operations, damage()), |instance, runtime, ((method, path, body), damage)| {
        let body = damage.apply(body);
        let answer = runtime.block_on(instance.send(method, path, &[], body.clone()));
        is_sound(&answer, &format!("{method} {path} {}", String::from_utf8_lossy(&body)))
    });
}

#[test]
fn odd_queries_and_headers_are_answered() {
    let paths = prop::sample::select(vec![
        "/v1/memories",
        "/v1/memories/profile",
        "/v1/memories/profile/queue",
        "/v1/sessions",
        "/v1/usage",
        "/health",
    ]);
    let names = "(group_id|session_id|user_id|limit|cursor|as_of|category|order|explain|shape|x)";
    let query =
        format!("({names}=([a-z0-9-]{{0,8}}|-?[0-9]{{1,20}}|%[0-9A-F]{{2}}|%zz|[+&=;]){{0,3}}&?){{0,4}}");
    let headers = prop::sample::select(vec!["group-id", "session-id", "user-id", "agent-id", "x-request-id"]);
    let query = prop::string::string_regex(&query).unwrap();
    let strategy = (paths, query, headers, "[ -~]{0,40}");
    check(&strategy, |instance, runtime, (path, query, name, value)| {
        let path = format!("{path}?{query}");
        let answer = runtime.block_on(instance.send("GET", &path, &[(name, &value)], ""));
        is_sound(&answer, &format!("GET {path} {name}: {value}"))
    });
}

#[test]
fn a_filter_finds_what_reading_every_message_finds() {
    let runtime = Runtime::new().unwrap();
    let instance = runtime.block_on(Instance::open());
    let message = |n: usize| {
        let mut metadata =
            json!({"text": (["a", "A", "", "3"][n % 4]), "number": n % 3, "truth": n.is_multiple_of(2)});
        if n.is_multiple_of(5) {
            metadata["text"] = Value::Null;
        }
        json!({"producer": (["ann", "bob"][n % 2]), "episode_content": "tea", "metadata": metadata})
    };
    let session = json!({"group_id": "g", "user_id": ["ann", "bob"]});
    let episodes: Vec<Value> = (0..60).map(message).collect();
    let batch = json!({"session": session, "episodes": episodes});
    runtime.block_on(instance.post("/v1/memories/batch", &batch)).ok();
    let value = prop_oneof![
        prop::sample::select(vec!["a", "A", "", "3", "ann"]).prop_map(Value::from),
        (0..4_i64).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!(1.0)),
    ];
    let key = prop::sample::select(vec!["metadata.text", "metadata.number", "metadata.truth", "producer_id"]);
    let filters = prop::collection::btree_map(key, value, 0..4);
    run(&filters, |filter| {
        let body = json!({"session": session, "query": "tea", "limit": 100, "filter": filter});
        let answer = runtime.block_on(instance.post("/v1/memories/search?shape=list", &body));
        if answer.status == 422 {
            // The producer is a text.
            prop_assert!(
                filter.get("producer_id").is_some_and(|value| !value.is_string()),
                "{}",
                answer.text
            );
            return Ok(());
        }
        let holds = |episode: &Value| {
            filter.iter().all(|(key, wanted)| {
                let found = key
                    .strip_prefix("metadata.")
                    .map_or(&episode["producer"], |key| &episode["metadata"][key]);
                found == wanted || found.as_f64().is_some_and(|number| wanted.as_f64() == Some(number))
            })
        };
        let expected = episodes.iter().filter(|episode| holds(episode)).count();
        prop_assert_eq!(answer.ok().as_array().unwrap().len(), expected, "{:?}", filter);
        Ok(())
    });
}

#[test]
fn pages_cover_every_message_and_damaged_cursors_are_refused() {
    const MESSAGES: usize = 23;
    let runtime = Runtime::new().unwrap();
    let instance = runtime.block_on(Instance::open());
    let episodes: Vec<Value> = (0..MESSAGES).map(|n| json!({"episode_content": n.to_string()})).collect();
    let batch = json!({"session": {"group_id": "g"}, "episodes": episodes});
    runtime.block_on(instance.post("/v1/memories/batch", &batch)).ok();
    let page = |limit: usize, cursor: &str| {
        let cursor = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
        runtime.block_on(instance.get(&format!("/v1/memories?group_id=g&limit={limit}{cursor}")))
    };
    run(&(1..MESSAGES + 2, any::<prop::sample::Index>(), "[0-9a-zA-Z]"), |(limit, at, with)| {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = page(limit, &cursor).ok();
            seen.extend(
                answer["episodes"].as_array().unwrap().iter().map(|episode| episode["uuid"].to_string()),
            );
            match answer["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        prop_assert_eq!(seen.len(), MESSAGES);
        prop_assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), MESSAGES);
        if !cursor.is_empty() {
            let at = at.index(cursor.len());
            cursor.replace_range(at..=at, &with);
            let answer = page(limit, &cursor);
            prop_assert!(answer.status == 200 || answer.code(422) == "invalid_cursor", "{}", answer.text);
        }
        Ok(())
    });
}

/// What happens to a body on its way.
#[derive(Clone, Debug)]
enum Damage {
    /// A value somewhere in it is another one.
    Replaced(prop::sample::Index, Value),
    /// It ends early.
    Cut(prop::sample::Index),
    /// One byte is another one.
    Flipped(prop::sample::Index, u8),
    /// It is something else.
    Bytes(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::collection::vec("[a-z]{0,3}".prop_map(Value::from), 0..4).prop_map(Value::from),
        Just(json!({"a": {"b": []}})),
        Just(json!("x".repeat(5_000))),
        Just(json!("nul\u{0}")),
    ];
    prop_oneof![
        6 => (any::<prop::sample::Index>(), value).prop_map(|(at, value)| Damage::Replaced(at, value)),
        1 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        2 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Flipped(at, byte)),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Damage::Bytes),
    ]
}

impl Damage {
    fn apply(self, mut body: Value) -> Vec<u8> {
        match self {
            Self::Replaced(at, value) => {
                let mut places = Vec::new();
                pointers(&body, String::new(), &mut places);
                *body.pointer_mut(&places[at.index(places.len())]).unwrap() = value;
                body.to_string().into_bytes()
            }
            Self::Cut(at) => {
                let mut bytes = body.to_string().into_bytes();
                bytes.truncate(at.index(bytes.len()));
                bytes
            }
            Self::Flipped(at, byte) => {
                let mut bytes = body.to_string().into_bytes();
                let at = at.index(bytes.len());
                bytes[at] = byte;
                bytes
            }
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The JSON pointers of all values in a value.
fn pointers(value: &Value, here: String, places: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| pointers(value, format!("{here}/{key}"), places));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| pointers(value, format!("{here}/{at}"), places));
        }
        _ => {}
    }
    places.push(here);
}

/// A success, or an error with everything that an error must have. Without a language model chats are refused.
fn is_sound(answer: &Answer, request: &str) -> TestCaseResult {
    let unavailable = answer.status == 503 && answer.text.contains("no_model");
    prop_assert!(!answer.status.is_server_error() || unavailable, "{request}: {}", answer.text);
    if !answer.status.is_success() && !request.contains("/completions") {
        answer.code(answer.status.as_u16());
    }
    Ok(())
}

/// Runs a property on one instance.
fn check<S: Strategy>(strategy: &S, property: impl Fn(&Instance, &Runtime, S::Value) -> TestCaseResult) {
    let runtime = Runtime::new().unwrap();
    let instance = runtime.block_on(Instance::open());
    run(strategy, |value| property(&instance, &runtime, value));
}

fn run<S: Strategy>(strategy: &S, property: impl Fn(S::Value) -> TestCaseResult) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    runner.run(strategy, property).unwrap();
}
