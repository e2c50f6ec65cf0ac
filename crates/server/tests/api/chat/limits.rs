//! Limits that bind.

use memcloud_ports::Budget;
use serde_json::json;

use super::harness::{ChatInstance, With, said};

#[tokio::test]
async fn concurrent_calls_never_exceed_the_limit() {
    let budget = Budget { calls_per_day: Some(5), ..Budget::default() };
    let chat = ChatInstance::with(With { budget, ..With::default() }).await;
    let calls = (0..12).map(|n| {
        let body = said(&format!("s{n}"), "Hello there, who is it?");
        let instance = &chat.instance;
        async move { instance.post("/v1/chat", &body).await.status.as_u16() }
    });
    let mut statuses = futures_util::future::join_all(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 5], vec![429; 7]].concat());
    assert_eq!(chat.model.calls().calls, 5);
    let refused = chat.say("today", "Hello?").await;
    assert_eq!(refused.code(429), "model_limit");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 86_400);
    assert!(refused.json()["stored"]["user_message"].is_string(), "what was said is stored all the same");
    let usage = chat.instance.get("/v1/usage").await.ok();
    assert_eq!((&usage["day"]["calls"], &usage["day"]["calls_limit"]), (&json!(5), &json!(5)));
    assert_eq!(usage["minute"]["calls_limit"], json!(null));
}

#[tokio::test]
async fn used_tokens_are_counted() {
    let chat = ChatInstance::open().await;
    let answer = chat.say("today", "Where are the keys?").await.ok();
    let total = answer["usage"]["total_tokens"].as_u64().unwrap();
    chat.usage_in_the_end(|usage| usage["day"]["tokens"] == total && usage["day"]["calls"] == 1).await;
}

/// Numbers that no call has, from a client.
#[tokio::test]
async fn absurd_token_counts_block_no_caller() {
    let budget = Budget { tokens_per_day: Some(10_000_000_000), ..Budget::default() };
    let chat = ChatInstance::with(With { budget, ..With::default() }).await;
    for most in [json!(u64::MAX), json!(9_000_000_000_000_000_000_u64), json!(1e300), json!(-5)] {
        let body =
            json!({"max_tokens": most, "n": u64::MAX, "messages": [{"role": "user", "content": "hello"}]});
        chat.instance.post("/v1/chat/completions", &body).await.ok();
    }
    let total = |usage: &serde_json::Value| usage["day"]["tokens"].as_u64().unwrap();
    chat.usage_in_the_end(|usage| total(usage) < 100_000).await;
    chat.say("today", "hello").await.ok();
}

/// What the model reads in addition to the messages counts, too.
#[tokio::test]
async fn tools_count() {
    let budget = Budget { tokens_per_day: Some(10_000), ..Budget::default() };
    let chat = ChatInstance::with(With { budget, ..With::default() }).await;
    let tools = json!([{"type": "function", "function": {"name": "f", "description": "x".repeat(60_000)}}]);
    let body = json!({"tools": tools, "messages": [{"role": "user", "content": "hello"}]});
    let refused = chat.instance.post("/v1/chat/completions", &body).await;
    assert_eq!((refused.status.as_u16(), chat.model.calls().calls), (429, 0));
}

#[tokio::test]
async fn openai_clients_get_limits_in_their_own_shape() {
    let budget = Budget { tokens_per_minute: Some(10), ..Budget::default() };
    let chat = ChatInstance::with(With { budget, ..With::default() }).await;
    let body = json!({"model": "fake-llm", "messages": [{"role": "user", "content": "Hello?"}]});
    let answer = chat.instance.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains_key("retry-after"));
    let error = &answer.json()["error"];
    assert_eq!((&error["code"], &error["type"]), (&json!("model_limit"), &json!("rate_limit_error")));
    assert_eq!(chat.model.calls().calls, 0);
}
