//! Limits that bind.

use memcloud_memory::ports::Budget;
use serde_json::json;

use super::stand::{Stand, With, said};

#[tokio::test]
async fn no_more_calls_than_allowed_also_at_once() {
    let budget = Budget { calls_per_day: Some(5), ..Budget::default() };
    let stand = Stand::with(With { budget, ..With::default() }).await;
    let calls = (0..12).map(|n| {
        let body = said(&format!("s{n}"), "Hello there, who is it?");
        let instance = &stand.instance;
        async move { instance.post("/v1/chat", &body).await.status.as_u16() }
    });
    let mut statuses = futures_util::future::join_all(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 5], vec![429; 7]].concat());
    assert_eq!(stand.model.calls().calls, 5);
    let refused = stand.say("today", "Hello?").await;
    assert_eq!(refused.code(429), "model_limit");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 86_400);
    assert!(refused.json()["stored"]["user_message"].is_string(), "what was said is stored all the same");
    let usage = stand.instance.get("/v1/usage").await.ok();
    assert_eq!((&usage["day"]["calls"], &usage["day"]["calls_limit"]), (&json!(5), &json!(5)));
    assert_eq!(usage["minute"]["calls_limit"], json!(null));
}

#[tokio::test]
async fn tokens_are_counted_as_they_were_used() {
    let stand = Stand::open().await;
    let answer = stand.say("today", "Where are the keys?").await.ok();
    let total = answer["usage"]["total_tokens"].as_u64().unwrap();
    // It is corrected when nobody waits for it any more.
    for _ in 0..500 {
        let usage = stand.instance.get("/v1/usage").await.ok();
        if usage["day"]["tokens"] == total && usage["day"]["calls"] == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} and not {total}", stand.instance.get("/v1/usage").await.text);
}

#[tokio::test]
async fn openai_clients_are_told_in_their_own_shape() {
    let budget = Budget { tokens_per_minute: Some(10), ..Budget::default() };
    let stand = Stand::with(With { budget, ..With::default() }).await;
    let body = json!({"model": "dev-model", "messages": [{"role": "user", "content": "Hello?"}]});
    let answer = stand.instance.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains_key("retry-after"));
    let error = &answer.json()["error"];
    assert_eq!((&error["code"], &error["type"]), (&json!("model_limit"), &json!("rate_limit_error")));
    assert_eq!(stand.model.calls().calls, 0);
}
