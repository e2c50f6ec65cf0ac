//! Chat requests that are refused.

use serde_json::{Value, json};

use super::harness::{ChatInstance, said};

async fn refused(chat: &ChatInstance, messages: Value) -> (String, Value) {
    let mut body = said("today", "");
    body["messages"] = messages;
    let answer = chat.instance.post("/v1/chat", &body).await;
    let code = answer.code(422);
    (code, answer.json()["detail"][0]["loc"].clone())
}

#[tokio::test]
async fn a_message_that_is_not_valid_is_refused_where_it_is() {
    let chat = ChatInstance::open().await;
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    for (messages, code, loc) in [
        (json!([]), "no_messages", json!(["body", "messages"])),
        (json!("hello"), "wrong_type", json!(["body", "messages"])),
        (json!(["hello"]), "wrong_type", json!(["body", "messages", 0])),
        (json!([{"role": "wizard", "content": "x"}]), "unknown_role", json!(["body", "messages", 0, "role"])),
        (json!([{"content": "x"}]), "unknown_role", json!(["body", "messages", 0, "role"])),
        (
            json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]),
            "last_not_from_user",
            json!(["body", "messages", 1, "role"]),
        ),
        (user(json!(7)), "wrong_type", json!(["body", "messages", 0, "content"])),
        (user(json!([{"no": "type"}])), "wrong_type", json!(["body", "messages", 0, "content"])),
        (user(json!("  ")), "empty_content", json!(["body", "messages", 0, "content"])),
        (user(json!([])), "empty_content", json!(["body", "messages", 0, "content"])),
        (user(json!("a\u{0}b")), "nul_character", json!(["body", "messages", 0, "content"])),
        (
            user(json!("x".repeat((1 << 20) + 1))),
            "content_too_long",
            json!(["body", "messages", 0, "content"]),
        ),
    ] {
        assert_eq!(refused(&chat, messages).await, (code.to_owned(), loc));
    }
    let answer = chat.instance.post("/v1/chat", &json!({"session": null})).await;
    assert_eq!(answer.code(422), "missing_field");
    let mut body = said("today", "hello");
    body["limit"] = 0.into();
    assert_eq!(chat.instance.post("/v1/chat", &body).await.code(422), "limit_out_of_range");
    assert_eq!(chat.model.calls().calls, 0, "the model was asked nothing");
    assert_eq!(chat.instance.everything().await[0]["sessions"], json!([]), "nothing was stored");
}

#[tokio::test]
async fn several_problems_of_a_turn_are_reported_together() {
    let chat = ChatInstance::open().await;
    let messages = json!([{"role": "wizard", "content": "x"}, {"role": "user", "content": 7}]);
    let body = json!({"messages": messages, "limit": 0});
    let answer = chat.instance.post("/v1/chat", &body).await;
    assert_eq!(answer.code(422), "limit_out_of_range");
    let detail = answer.json()["detail"].clone();
    let places: Vec<&Value> = detail.as_array().unwrap().iter().map(|problem| &problem["loc"]).collect();
    assert_eq!(
        places,
        [
            &json!(["body", "limit"]),
            &json!(["body", "messages", 0, "role"]),
            &json!(["body", "messages", 1, "content"]),
        ]
    );
}

#[tokio::test]
async fn a_name_that_is_too_long_is_refused_where_it_is() {
    let chat = ChatInstance::open().await;
    let long = "n".repeat(1025);
    let message = json!({"role": "user", "content": "hello"});
    let body = json!({"session": {"group_id": long}, "messages": [message]});
    let answer = chat.instance.post("/v1/chat", &body).await;
    assert_eq!(answer.code(422), "name_too_long");
    assert_eq!(answer.json()["detail"][0]["loc"], json!(["body", "session", "group_id"]));
    let body = json!({"messages": [message]}).to_string();
    let headers = [("X-Memory-Group", long.as_str())];
    let answer = chat.instance.send("POST", "/v1/chat/completions", &headers, body).await;
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status.as_u16(), &error["code"]), (400, &json!("name_too_long")));
    assert!(error["message"].as_str().unwrap().starts_with("header.X-Memory-Group: "), "{error}");
}

#[tokio::test]
async fn ten_thousand_messages_are_too_many() {
    let chat = ChatInstance::open().await;
    let many: Vec<Value> = (0..10_000).map(|n| json!({"role": "user", "content": n.to_string()})).collect();
    assert_eq!(refused(&chat, json!(many)).await.0, "too_many_messages");
    let body = json!({"messages": many});
    let answer = chat.instance.post("/v1/chat/completions", &body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (400, &json!("too_many_messages")));
    let mut body = said("today", "");
    body["messages"] = json!(many[..2_000]);
    chat.instance.post("/v1/chat", &body).await.ok();
}

#[tokio::test]
async fn images_reach_the_model_and_become_notes_in_the_memory() {
    let chat = ChatInstance::open().await;
    let parts = json!([
        {"type": "text", "text": "What is on this picture?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "alt": "a red bicycle"}},
    ]);
    let mut body = said("today", "");
    body["messages"] = json!([{"role": "user", "content": parts}]);
    chat.instance.post("/v1/chat", &body).await.ok();
    assert_eq!(chat.stored().await[0].1, "What is on this picture?\n[image: a red bicycle]");
    let asked = chat.asked();
    assert_eq!(asked["messages"].as_array().unwrap().last().unwrap()["content"], parts);
}

#[tokio::test]
async fn completions_without_messages_are_refused_in_openais_shape() {
    let chat = ChatInstance::open().await;
    for body in [json!({}), json!({"messages": []}), json!({"messages": "hello"})] {
        let answer = chat.instance.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.json()["error"]["code"], "no_messages");
    }
    let answer = chat.instance.send("POST", "/v1/chat/completions", &[], "{").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (400, &json!("invalid_json")));
}
