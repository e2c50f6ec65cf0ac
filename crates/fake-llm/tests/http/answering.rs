use serde_json::{Value, json};

use crate::client::{ANSWER, Client, json, question, question_with, streamed, text};

#[tokio::test]
async fn a_whole_answer_has_openais_shape() {
    let client = Client::new();
    let answer = json(client.send(&question()).await, 200).await;
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "fake-llm");
    assert!(answer["id"].is_string() && answer["created"].is_u64());
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"], json!({"role": "assistant", "content": ANSWER}));
    assert_eq!(choice["finish_reason"], "stop");
    let usage = &answer["usage"];
    assert_eq!(usage["completion_tokens"], 6, "a token for four characters");
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
}

#[tokio::test]
async fn a_stream_has_openais_shape() {
    let client = Client::new();
    let mut events = client.events(&streamed()).await;
    assert_eq!(text(&events), ANSWER);
    assert_eq!(events.pop().unwrap(), "[DONE]");
    let events: Vec<Value> = events.iter().map(|event| event.parse().unwrap()).collect();
    assert_eq!(events.len(), 1 + ANSWER.split(' ').count() + 1);
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    for event in &events {
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!(event["id"], events[0]["id"]);
        assert!(event.get("usage").is_none(), "it was not requested");
    }
    let last = &events[events.len() - 1]["choices"][0];
    assert_eq!((&last["delta"], &last["finish_reason"]), (&json!({}), &json!("stop")));
}

#[tokio::test]
async fn a_stream_says_what_it_took_when_asked() {
    let client = Client::new();
    let body = question_with(&json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = client.events(&body).await;
    let events: Vec<Value> = events[..events.len() - 1].iter().map(|event| event.parse().unwrap()).collect();
    let (last, others) = events.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 6);
    assert!(others.iter().all(|event| event["usage"].is_null()));
}

#[tokio::test]
async fn an_answer_comes_from_the_given_context_only() {
    let client = Client::new();
    let turn = |role: &str, text: &str| json!({"role": role, "content": text});
    let asked = |turns: &[Value]| json!({"model": "m", "messages": turns});
    let capital = turn("user", "What is the capital of France?");
    assert_eq!(client.said(&asked(std::slice::from_ref(&capital))).await, "I do not know.");
    let other = turn("system", "The user likes tea. Be brief.");
    assert_eq!(client.said(&asked(&[other, capital.clone()])).await, "I do not know.");
    let shown = turn("assistant", "Well! The capital of France is Lyon, they say. Is it?");
    assert_eq!(client.said(&asked(&[shown, capital])).await, "The capital of France is Lyon, they say.");
}

#[tokio::test]
async fn invalid_requests_are_refused_in_openais_shape() {
    let client = Client::new();
    for body in [
        json!({"model": "m"}),
        json!({"model": "m", "messages": []}),
        json!({"messages": question()["messages"]}),
        json!({"model": "m", "messages": [{"content": "no role"}]}),
        json!(["no object"]),
        question_with(&json!({"stream_options": {"include_usage": true}})),
    ] {
        let error = json(client.send(&body).await, 400).await;
        assert_eq!(error["error"]["type"], "invalid_request_error", "{body}");
        assert!(error["error"]["message"].is_string());
    }
    let call = client.at("POST", "/v1/chat/completions").body("{");
    assert_eq!(call.send().await.unwrap().status(), 400);
    assert_eq!(client.at("GET", "/v1/nothing").send().await.unwrap().status(), 404);
    assert_eq!((client.model.calls().calls, client.model.calls().charged), (7, 0));
}

#[tokio::test]
async fn it_lists_itself() {
    let client = Client::new();
    let listed = json(client.at("GET", "/v1/models").send().await.unwrap(), 200).await;
    assert_eq!(listed["object"], "list");
    assert_eq!(listed["data"][0]["id"], "fake-llm");
}
