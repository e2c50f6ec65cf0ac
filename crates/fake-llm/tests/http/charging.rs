use std::time::Duration;

use memcloud_fake_llm::{Fault, Faults, Kind, Pause};
use serde_json::{Value, json};

use crate::client::{ANSWER, Client, events, json, question, question_with, streamed, text};

#[tokio::test]
async fn a_call_that_is_repeated_gets_its_answer_again_and_costs_nothing() {
    let client = Client::new();
    let call = |body: Value| client.call(&body).header("Idempotency-Key", "one").send();
    let first = json(call(question()).await.unwrap(), 200).await;
    let other = question_with(&json!({"messages": [{"role": "user", "content": "Hi"}]}));
    let again = json(call(other).await.unwrap(), 200).await;
    assert_eq!(first, again);
    let calls = client.model.calls();
    assert_eq!((calls.calls, calls.charged), (2, 1));
    assert_eq!((calls.asked[1].charged, calls.asked[1].repeated), (false, true));
    // Without a key, or with another key, every call is charged.
    client.send(&question()).await;
    client.call(&question()).header("Idempotency-Key", "two").send().await.unwrap();
    assert_eq!(client.model.calls().charged, 3);
    client.model.clear_calls();
    call(question()).await.unwrap();
    assert_eq!((client.model.calls().calls, client.model.calls().charged), (1, 0));
}

#[tokio::test]
async fn a_refused_call_is_not_charged_and_can_be_retried() {
    let client = Client::new();
    client.model.set_faults(Faults::from(Fault::Status { status: 500, retry_after: None }).times(1));
    let call = || client.call(&question()).header("Idempotency-Key", "one").send();
    assert_eq!(call().await.unwrap().status(), 500);
    assert_eq!(client.model.calls().charged, 0);
    assert_eq!(json(call().await.unwrap(), 200).await["choices"][0]["message"]["content"], ANSWER);
    assert_eq!(client.model.calls().charged, 1);
}

#[tokio::test]
async fn a_broken_or_abandoned_answer_is_charged_once() {
    for fault in [Fault::Cut { after: None }, Fault::Slow { time: Pause(Duration::from_mins(10)) }] {
        let client = Client::new();
        client.model.set_faults(Faults::from(fault.clone()).times(1));
        let call = || client.call(&streamed()).header("Idempotency-Key", "one").send();
        if matches!(fault, Fault::Slow { .. }) {
            client.give_up(call()).await;
        } else {
            assert!(call().await.unwrap().text().await.is_err());
        }
        let whole = call().await.unwrap().text().await.unwrap();
        assert_eq!(text(&events(&whole)), ANSWER);
        assert_eq!((client.model.calls().calls, client.model.calls().charged), (2, 1));
    }
}

#[tokio::test]
async fn the_calls_are_recorded() {
    let client = Client::new();
    client.model.set_faults(Faults::from(Fault::Empty).times(1));
    client.call(&question()).header("Idempotency-Key", "one").bearer_auth("key").send().await.unwrap();
    client.at("POST", "/v1/embeddings").json(&json!({"input": "tea"})).send().await.unwrap();
    let calls = json(client.at("GET", "/dev/calls").send().await.unwrap(), 200).await;
    let expected = json!({"calls": 2, "charged": 2, "asked": [
        {"path": "/v1/chat/completions", "body": question(), "idempotency_key": "one", "authorization": true,
         "kind": "answer", "status": 200, "charged": true, "repeated": false, "faults": [{"fault": "empty"}]},
        {"path": "/v1/embeddings", "body": {"input": "tea"}, "idempotency_key": null, "authorization": false,
         "kind": null, "status": 200, "charged": true, "repeated": false, "faults": []},
    ]});
    assert_eq!(calls, expected);
    assert_eq!(client.model.calls().asked[0].kind, Some(Kind::Answer));
    assert_eq!(client.at("DELETE", "/dev/calls").send().await.unwrap().status(), 204);
    let calls = json(client.at("GET", "/dev/calls").send().await.unwrap(), 200).await;
    assert_eq!(calls, json!({"calls": 0, "charged": 0, "asked": []}));
}
