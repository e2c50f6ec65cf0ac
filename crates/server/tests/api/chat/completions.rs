//! `POST /v1/chat/completions` and `GET /v1/models`: OpenAI's shape, with memory.

use std::time::Duration;

use memcloud_fake_llm::{Fault, Pause};
use serde_json::{Value, json};

use super::harness::ChatInstance;

const MEMORY: [(&str, &str); 4] = [
    ("x-memory-group", "g"),
    ("x-memory-user", "Ann"),
    ("x-memory-agent", "bot"),
    ("x-memory-session", "today"),
];

fn asked(text: &str) -> Value {
    json!({"model": "fake-llm", "messages": [{"role": "user", "content": text}]})
}

async fn complete(chat: &ChatInstance, body: &Value) -> crate::test_instance::Answer {
    chat.instance.send("POST", "/v1/chat/completions", &MEMORY, body.to_string()).await
}

#[tokio::test]
async fn any_openai_client_gains_a_memory() {
    let chat = ChatInstance::open().await;
    chat.remember("The spare keys hang behind the green door.").await;
    let answer = complete(&chat, &asked("Where are the spare keys?")).await;
    assert_eq!(answer.headers["x-memory-recalled"], "1");
    let body = answer.ok();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "The spare keys hang behind the green door.");
    assert!(body["usage"]["total_tokens"].is_number());
    let stored = chat.stored().await;
    assert_eq!(
        stored[1..],
        [
            ("Ann".into(), "Where are the spare keys?".into()),
            ("bot".into(), "The spare keys hang behind the green door.".into()),
        ]
    );
}

#[tokio::test]
async fn without_headers_it_is_the_default_memory() {
    let chat = ChatInstance::open().await;
    chat.instance.post("/v1/chat/completions", &asked("Is anyone there?")).await.ok();
    let page = chat.instance.get("/v1/memories").await.ok();
    let first = &page["episodes"][0];
    assert_eq!((&first["producer_id"], &first["session_id"]), (&json!("default"), &json!("default")));
    assert_eq!(page["episodes"][1]["producer_id"], "assistant");
}

#[tokio::test]
async fn a_stream_is_passed_on_unchanged_and_ends_once_stored() {
    let chat = ChatInstance::open().await;
    chat.remember("The spare keys hang behind the green door.").await;
    let mut body = asked("Where are the spare keys?");
    body["stream"] = true.into();
    let streaming = chat.stream("/v1/chat/completions", &MEMORY, &body).await;
    assert_eq!(streaming.parts.headers["content-type"], "text/event-stream");
    let events = streaming.events().await;
    assert_eq!(events.last().unwrap().1, "[DONE]");
    assert_eq!(events.iter().filter(|(_, data)| data == "[DONE]").count(), 1);
    let said: String =
        events.iter().filter_map(|(_, data)| data["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "The spare keys hang behind the green door.");
    assert!(events.iter().any(|(_, data)| data["choices"][0]["finish_reason"] == "stop"));
    assert!(events.iter().all(|(_, data)| data["usage"].is_null()), "the request did not ask for it");
    assert_eq!(chat.stored().await.len(), 3);
}

#[tokio::test]
async fn everything_but_the_context_is_passed_on_unchanged() {
    let chat = ChatInstance::open().await;
    let mut body = asked("What is the weather?");
    let more = json!({
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        "temperature": 0.25, "vendor_field": {"deep": [1, 2, {"x": null}]}, "seed": 9_007_199_254_740_993_u64,
        "n": 1, "user": "end-user-7",
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    chat.fails(Fault::Tools);
    let answer = complete(&chat, &body).await.ok();
    assert!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"].is_string(), "{answer}");
    let request = chat.asked();
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(request[name], *value, "{name}");
    }
    assert_eq!(chat.stored().await.len(), 1, "a call of a tool says nothing");
    // The answer of the tool goes on with the same turn: what the user said is not stored again.
    chat.model.clear_faults();
    body["messages"].as_array_mut().unwrap().extend([
        answer["choices"][0]["message"].clone(),
        json!({"role": "tool", "tool_call_id": "c", "content": "The weather is sunny."}),
    ]);
    let answer = complete(&chat, &body).await.ok();
    assert_eq!(answer["choices"][0]["message"]["content"], "The weather is sunny.");
    let stored = chat.stored().await;
    assert_eq!(stored.len(), 2, "{stored:?}");
}

#[tokio::test]
async fn errors_of_the_endpoint_keep_their_status_and_body() {
    let chat = ChatInstance::open().await;
    for (status, streams) in [(429, false), (400, true), (503, false), (418, true)] {
        chat.fails(Fault::Status { status, retry_after: Some(7) });
        let mut body = asked("Where are the keys?");
        body["stream"] = streams.into();
        let answer = complete(&chat, &body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text);
        assert_eq!(answer.headers["retry-after"], "7");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    assert_eq!(chat.model.calls().calls, 4, "a client of that API tries again by itself");
    assert_eq!(chat.stored().await.len(), 1, "what was not answered and is said again is one message");
}

#[tokio::test]
async fn an_empty_model_answer_is_passed_on() {
    let chat = ChatInstance::open().await;
    for fault in [Fault::Empty, Fault::NullContent] {
        chat.fails(fault);
        let answer = complete(&chat, &asked("Where are the keys?")).await.ok();
        assert!(answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().is_empty());
    }
    assert_eq!(chat.stored().await.len(), 1);
}

#[tokio::test]
async fn invalid_utf8_is_passed_on_unchanged() {
    let chat = ChatInstance::open().await;
    chat.fails(Fault::InvalidUtf8);
    let mut body = asked("Where are the keys?");
    body["stream"] = true.into();
    let bytes = chat.stream("/v1/chat/completions", &MEMORY, &body).await.bytes().await;
    assert!(std::str::from_utf8(&bytes).is_err(), "untouched");
    assert!(bytes.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so() {
    let chat = ChatInstance::open().await;
    chat.remember("The spare keys hang behind the green door.").await;
    chat.fails(Fault::Cut { after: Some(5) });
    let mut body = asked("Where are the spare keys?");
    body["stream"] = true.into();
    let events = chat.stream("/v1/chat/completions", &MEMORY, &body).await.events().await;
    assert_eq!(events.last().unwrap().1["error"]["code"], "model_cut", "{events:?}");
    assert_eq!(chat.stored().await.len(), 3);
}

#[tokio::test]
async fn endpoints_that_do_not_stream_still_do_for_the_client() {
    let chat = ChatInstance::open().await;
    chat.fails(Fault::IgnoresStream);
    let mut body = asked("Where are the keys?");
    body["stream"] = true.into();
    let events = chat.stream("/v1/chat/completions", &MEMORY, &body).await.events().await;
    assert_eq!(events[0].1["choices"][0]["delta"]["content"], "I do not know.");
    assert_eq!(events.last().unwrap().1, "[DONE]");
}

#[tokio::test]
async fn lists_the_models_of_the_endpoint() {
    let chat = ChatInstance::open().await;
    let models = chat.instance.get("/v1/models").await.ok();
    assert_eq!((&models["object"], &models["data"][0]["id"]), (&json!("list"), &json!("fake-llm")));
}

/// The forwarded body is the same text, not only the same value: models follow the order of a schema's fields.
#[tokio::test]
async fn the_order_of_fields_is_kept() {
    let chat = ChatInstance::open().await;
    let schema = r#"{"zeta":{"type":"string"},"alpha":{"type":"string"},"middle":{"type":"string"}}"#;
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"hello"}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"x","schema":{{"properties":{schema}}}}}}}}}"#
    );
    chat.instance.send("POST", "/v1/chat/completions", &MEMORY, body).await.ok();
    assert!(chat.asked().to_string().contains(schema), "{}", chat.asked());
}

#[tokio::test]
async fn a_stream_without_events_ends_once() {
    let chat = ChatInstance::open().await;
    chat.fails(Fault::Empty);
    let mut body = asked("Where are the keys?");
    body["stream"] = true.into();
    let events = chat.stream("/v1/chat/completions", &MEMORY, &body).await.events().await;
    assert_eq!(events.iter().filter(|(_, data)| data == "[DONE]").count(), 1, "{events:?}");
}

#[tokio::test]
async fn the_answer_is_stored_when_the_client_has_disconnected() {
    let chat = ChatInstance::open().await;
    chat.remember("The keys hang behind the door.").await;
    chat.fails(Fault::SlowWords { time: Pause(Duration::from_millis(20)) });
    let mut body = asked("Where are the keys?");
    body["stream"] = true.into();
    let mut streaming = chat.stream("/v1/chat/completions", &MEMORY, &body).await;
    streaming.next().await.unwrap();
    drop(streaming);
    chat.stored_in_the_end(|stored| stored.len() == 3).await;
}

#[tokio::test]
async fn names_that_cannot_be_stored_are_refused_before_the_model_is_called() {
    let chat = ChatInstance::open().await;
    let long = "x".repeat(1_100);
    for header in ["x-memory-group", "x-memory-session", "x-memory-user", "x-memory-agent"] {
        let headers = [(header, long.as_str())];
        let body = asked("Where are the keys?").to_string();
        let answer = chat.instance.send("POST", "/v1/chat/completions", &headers, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (400, &json!("name_too_long")));
    }
    let body = asked("Where are the keys?").to_string();
    let empty = [("x-memory-group", ""), ("x-memory-user", "")];
    chat.instance.send("POST", "/v1/chat/completions", &empty, body).await.ok();
    assert_eq!(chat.model.calls().calls, 1);
    chat.usage_in_the_end(|usage| usage["day"]["calls"] == 1).await;
}
