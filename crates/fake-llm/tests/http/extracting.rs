use memcloud_fake_llm::{Fault, Faults, Kind};
use serde_json::{Value, json};

use crate::client::{ANSWER, Client, question};

/// A call for facts, with the schema or without.
fn extraction(name: &str, asked: &Value, with_format: bool) -> Value {
    let mut body = json!({"model": "m", "messages": [
        {"role": "system", "content": "You keep a record of facts about one person."},
        {"role": "user", "content": asked.to_string()},
    ]});
    if with_format {
        let schema = json!({"name": name, "strict": true, "schema": {"type": "object"}});
        body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
    }
    body
}

fn learning(text: &str) -> Value {
    json!({
        "owner": "Ann",
        "facts": [
            {"id": 1, "tag": "Home", "feature": "city", "value": "Oslo"},
            {"id": 2, "tag": "Likes", "feature": "likes", "value": "tea"},
        ],
        "messages": [
            {"number": 1, "said_by": "Ann", "said_to": "bot", "at": "2026-05-08 13:56", "text": "Good morning"},
            {"number": 2, "said_by": "Ann", "said_to": "bot", "at": "2026-05-08 13:57", "text": text},
        ],
    })
}

#[tokio::test]
async fn statements_become_commands() {
    let client = Client::new();
    let text = "My name is Ann. I moved to Lisbon, and I like coffee. I no longer like tea!";
    let command = |verb: &str, fact: Value, tag: &str, feature: &str, value: &str| {
        let mut command = json!({"command": verb, "fact": fact, "tag": tag});
        command["feature"] = feature.into();
        command["value"] = value.into();
        command["messages"] = json!([2]);
        command
    };
    let expected = json!({"commands": [
        command("add", Value::Null, "Identity", "name", "Ann"),
        command("replace", json!(1), "Home", "city", "Lisbon"),
        command("add", Value::Null, "Likes", "likes", "coffee"),
        command("retire", json!(2), "Likes", "likes", "tea"),
    ]});
    for with_format in [true, false] {
        let said = client.said(&extraction("profile_commands", &learning(text), with_format)).await;
        assert_eq!(said.as_str().unwrap().parse::<Value>().unwrap(), expected);
    }
    let nothing = client.said(&extraction("profile_commands", &learning("Nice weather."), true)).await;
    assert_eq!(nothing, r#"{"commands":[]}"#);
}

#[tokio::test]
async fn facts_of_one_feature_are_merged() {
    let client = Client::new();
    let fact = |id: u32, feature: &str, value: &str| json!({"id": id, "feature": feature, "value": value});
    let facts = [fact(1, "likes", "tea"), fact(2, "color", "red"), fact(3, "likes", "coffee")];
    let asked = json!({"tag": "Likes", "facts": facts});
    let expected = json!({"merges": [{"facts": [1, 3], "feature": "likes", "value": "tea, coffee"}]});
    for with_format in [true, false] {
        let said = client.said(&extraction("profile_merges", &asked, with_format)).await;
        assert_eq!(said.as_str().unwrap().parse::<Value>().unwrap(), expected);
    }
}

#[tokio::test]
async fn faults_can_be_for_one_kind_of_call_only() {
    let client = Client::new();
    let learning = extraction("profile_commands", &learning("I like milk"), true);
    client.model.set_faults(Faults::from(Fault::WrongSchema).only(Kind::Extract));
    assert_eq!(client.said(&question()).await, ANSWER);
    assert!(client.said(&learning).await.as_str().unwrap().contains("orders"));
    client.model.set_faults(Faults::from(Fault::BadJson).only(Kind::Answer));
    assert!(client.said(&learning).await.as_str().unwrap().contains("milk"));
    assert!(client.said(&question()).await.as_str().unwrap().parse::<Value>().is_err());
    let kinds: Vec<_> = client.model.calls().asked.iter().map(|call| call.kind).collect();
    assert_eq!(kinds, [Kind::Answer, Kind::Extract, Kind::Extract, Kind::Answer].map(Some));
}
