use crate::test_instance::Instance;
use memcloud_server::openapi_json;
use serde_json::Value;

/// The document that is checked in, for readers and for clients that are made from it.
const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");

#[test]
fn the_document_is_the_one_checked_in() {
    let document = openapi_json() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(CHECKED_IN, &document).unwrap();
    }
    let checked_in = std::fs::read_to_string(CHECKED_IN).unwrap_or_default();
    assert!(
        checked_in == document,
        "run this test with UPDATE_DOCS=1 and look at the change of docs/reference/openapi.json"
    );
}

#[tokio::test]
async fn is_served() {
    let instance = Instance::open().await;
    let served = instance.get("/openapi.json").await;
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(served.text, openapi_json());
}

#[test]
fn describes_what_the_parser_of_http_answers_to_any_operation() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["responses"].get("431").is_some(), "{method} {path}");
        }
    }
    assert!(document["components"]["responses"]["HeadTooLarge"].get("content").is_none());
}

/// The operations that are not a `GET`: their methods, their paths with values in place of parameters, and their descriptions.
fn changing(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, operations)| {
        operations.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    });
    let valued = |path: &str| {
        let id = if path.contains("profile") { "1" } else { "00000000-0000-0000-0000-000000000000" };
        path.replace("{id}", id).replace("{org}", "universal").replace("{project}", "default")
    };
    all.filter(|(_, method, _)| *method != "get")
        .map(|(path, method, operation)| (method.to_uppercase(), valued(path), operation))
        .collect()
}

#[tokio::test]
async fn describes_the_refusal_of_a_compressed_body_wherever_there_may_be_one() {
    let (instance, document) = (Instance::open().await, serde_json::from_str(&openapi_json()).unwrap());
    for (method, path, _) in changing(&document) {
        let headers = [("content-encoding", "gzip")];
        let answer = instance.send(&method, &path, &headers, "{}").await;
        assert_eq!(answer.code(415), "unsupported_encoding", "{method} {path}");
    }
}

#[tokio::test]
async fn says_which_bodies_may_have_no_other_fields() {
    let instance = Instance::open().await;
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut closed = 0;
    for (method, path, operation) in changing(&document) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let Some(schema) = schema.as_str() else { continue };
        let schema = document.pointer(schema.trim_start_matches('#')).unwrap();
        let answer = instance.send(&method, &path, &[], r#"{"no_such_field": 1}"#).await;
        let is_closed = schema["additionalProperties"] == Value::Bool(false);
        assert_eq!(answer.text.contains("extra_forbidden"), is_closed, "{method} {path}: {}", answer.text);
        closed += usize::from(is_closed);
    }
    assert_eq!(closed, 5, "deletions of messages, sessions and people, keys and spaces");
}

#[test]
fn describes_errors_and_the_key() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let components = &document["components"];
    assert_eq!(components["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert_eq!(components["schemas"]["Error"]["required"], serde_json::json!(["detail", "code", "hint"]));
    let text = document.to_string();
    for (_, reference) in text.match_indices("#/components/schemas/").map(|(at, _)| text[at..].split_at(21)) {
        let name = reference.split('"').next().unwrap();
        assert!(components["schemas"].get(name).is_some(), "{name} is referred to but not described");
    }
}

#[tokio::test]
async fn health_answers_as_clients_know_it() {
    let instance = Instance::open().await;
    let health = instance.get("/health").await.ok();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["version"], memcloud_server::App::VERSION);
    assert_eq!(health["memory_managers"]["episodic_memory"], true);
    assert_eq!(instance.get("/health/live").await.ok()["status"], "alive");
    assert_eq!(instance.get("/health/ready").await.ok()["status"], "ready");
}
