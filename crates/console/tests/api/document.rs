use memcloud_console::openapi_json;
use serde_json::Value;

use crate::test_console::Console;

/// The document that is checked in, for readers and for clients that are made from it.
const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/console-openapi.json");

#[test]
fn the_document_is_the_one_checked_in() {
    let document = openapi_json() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(CHECKED_IN, &document).unwrap();
    }
    let checked_in = std::fs::read_to_string(CHECKED_IN).unwrap_or_default();
    assert!(
        checked_in == document,
        "run this test with UPDATE_DOCS=1 and look at the change of docs/reference/console-openapi.json"
    );
}

#[tokio::test]
async fn is_served() {
    let console = Console::open().await;
    let served = console.get(&console.owner_token().await, "/api/openapi.json").await;
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(served.text, openapi_json());
}

#[test]
fn describes_all_that_it_refers_to_and_where_a_deployment_goes() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let text = document.to_string();
    for (_, reference) in text.match_indices("#/components/schemas/").map(|(at, _)| text[at..].split_at(21)) {
        let name = reference.split('"').next().unwrap();
        let schema = document["components"]["schemas"].get(name);
        assert!(schema.is_some(), "{name} is referred to but not described");
    }
    let description = document["info"]["description"].as_str().unwrap();
    for argument in ["neo4j_connection_string", "use_managed_neo4j", "openai_api_key"] {
        assert!(description.contains(argument), "{argument}");
    }
}
