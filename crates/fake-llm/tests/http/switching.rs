use memcloud_fake_llm::{Fault, Faults, Options};
use serde_json::json;

use crate::client::{ANSWER, Client, json, question, question_with};

async fn put(client: &Client, faults: &serde_json::Value) -> u16 {
    client.at("PUT", "/dev/faults").json(faults).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn faults_are_set_counted_and_cleared_over_http() {
    let client = Client::new();
    let faults = json!({"faults": [{"fault": "status", "status": 429, "retry_after": 2}], "times": 2});
    assert_eq!(put(&client, &faults).await, 204);
    for _ in 0..2 {
        assert_eq!(client.send(&question()).await.status(), 429);
    }
    assert_eq!(client.said(&question()).await, ANSWER);
    let left = json(client.at("GET", "/dev/faults").send().await.unwrap(), 200).await;
    assert_eq!(left["times"], 0);
    assert_eq!(put(&client, &json!({"faults": ["status=503", "slow=1ms"]})).await, 204);
    for _ in 0..3 {
        assert_eq!(client.send(&question()).await.status(), 503);
    }
    assert_eq!(client.at("DELETE", "/dev/faults").send().await.unwrap().status(), 204);
    assert_eq!(client.said(&question()).await, ANSWER);
    assert_eq!(json(client.at("GET", "/dev/faults").send().await.unwrap(), 200).await, json!(null));
}

#[tokio::test]
async fn an_unknown_fault_is_refused_and_changes_nothing() {
    let client = Client::with(Fault::Empty);
    for faults in [
        json!({}),
        json!({"faults": ["flood"]}),
        json!({"faults": [{"fault": "status", "status": 200}]}),
        json!({"faults": [{"fault": "slow"}]}),
        json!({"faults": ["cut"], "time": 3}),
        json!({"faults": ["cut"], "only": "ask"}),
    ] {
        assert_eq!(put(&client, &faults).await, 400, "{faults}");
    }
    assert_eq!(client.said(&question()).await, "");
}

#[tokio::test]
async fn a_poisoned_message_fails_alone() {
    let client = Client::new();
    let poisoned = json!({"faults": ["status=500"], "only_if": "a \"bad\" word"});
    assert_eq!(put(&client, &poisoned).await, 204);
    assert_eq!(client.said(&question()).await, ANSWER);
    let body = question_with(&json!({"messages": [{"role": "user", "content": "This is a \"bad\" word."}]}));
    assert_eq!(client.send(&body).await.status(), 500);
    // It does not count against the calls that the faults are for.
    client.model.set_faults(Faults::from(Fault::Empty).times(1).only_if("a \"bad\" word"));
    assert_eq!(client.said(&question()).await, ANSWER);
    assert_eq!(client.said(&body).await, "");
    assert_eq!(client.said(&body).await, "I do not know.");
}

#[tokio::test]
async fn faults_of_the_start_last() {
    let client = Client::of(Options { faults: vec![Fault::NullContent], ..Options::default() });
    for _ in 0..3 {
        assert!(client.said(&question()).await.is_null());
    }
    client.model.clear_faults();
    assert_eq!(client.said(&question()).await, ANSWER);
}
