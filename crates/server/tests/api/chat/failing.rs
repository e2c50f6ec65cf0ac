//! `POST /v1/chat`, when the model fails: the user's message is stored, and the answer says what is wrong.

use std::time::Duration;

use memcloud_fake_llm::{Fault, Pause};
use serde_json::{Value, json};

use super::harness::{ChatInstance, With, said};

/// The code of a failure that must have stored the user's message, and perhaps a part of the answer.
async fn fails(chat: &ChatInstance, status: u16) -> (String, Value) {
    let answer = chat.say("today", "Where are the spare keys?").await;
    let code = answer.code(status);
    let body = answer.json();
    let id = body["stored"]["user_message"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    let stored = chat.instance.get(&format!("/v1/memories/{id}?group_id=g")).await.ok();
    assert_eq!(stored["content"], "Where are the spare keys?");
    (code, body)
}

#[tokio::test]
async fn each_fault_has_its_own_code() {
    let status = |status| Fault::Status { status, retry_after: None };
    for (fault, expected, code) in [
        (status(400), 502, "model_refused"),
        (status(401), 502, "model_key_refused"),
        (status(404), 502, "model_unknown"),
        (Fault::Empty, 502, "model_unusable"),
        (Fault::NullContent, 502, "model_unusable"),
        (Fault::Cut { after: None }, 502, "model_cut"),
        (Fault::Overflow { tokens: 0 }, 422, "context_overflow"),
        (Fault::Status { status: 429, retry_after: Some(60) }, 503, "model_busy"),
    ] {
        let chat = ChatInstance::open().await;
        chat.fails(fault.clone());
        let answer = chat.say("today", "Where are the spare keys?").await;
        assert_eq!(answer.status, expected, "{fault:?}: {}", answer.text);
        let body = answer.json();
        assert_eq!(body["code"], code, "{fault:?}");
        assert!(body["stored"]["user_message"].is_string(), "{fault:?}: {body}");
        assert_eq!(chat.stored().await.len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_call_to_a_silent_model_times_out() {
    let chat = ChatInstance::with(With { silence: Duration::from_millis(200), ..With::default() }).await;
    chat.fails(Fault::Hang);
    assert_eq!(fails(&chat, 504).await.0, "model_silent");
}

#[tokio::test]
async fn transient_failures_are_retried() {
    let chat = ChatInstance::open().await;
    chat.remember("The spare keys hang behind the green door.").await;
    let busy = Fault::Status { status: 429, retry_after: Some(1) };
    chat.model.set_faults(memcloud_fake_llm::Faults::from(busy).times(1));
    let began = std::time::Instant::now();
    let answer = chat.say("today", "Where are the spare keys?").await.ok();
    assert_eq!(answer["content"], "The spare keys hang behind the green door.");
    assert!(began.elapsed() >= Duration::from_secs(1), "it asked to wait");
    chat.model.set_faults(
        memcloud_fake_llm::Faults::from(Fault::Status { status: 500, retry_after: None }).times(2),
    );
    chat.say("today", "Where are the spare keys?").await.ok();
    let usage = chat.instance.get("/v1/usage").await.ok();
    assert_eq!(usage["day"]["calls"], 5, "each attempt counts");
}

#[tokio::test]
async fn repeated_failures_open_the_circuit_breaker() {
    let chat = ChatInstance::open().await;
    chat.fails(Fault::Status { status: 500, retry_after: None });
    // Three attempts, all of one chat.
    let answer = chat.say("today", "Where are the spare keys?").await;
    assert_eq!(answer.code(502), "model_failed");
    let asked = chat.model.calls().calls;
    let (code, _) = fails(&chat, 503).await;
    assert_eq!((code.as_str(), asked), ("model_resting", chat.model.calls().calls), "it was not even asked");
    let answer = chat.say("today", "And now?").await;
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 5);
    assert!(chat.instance.get("/v1/usage").await.ok()["resting_seconds"].is_number());
}

#[tokio::test]
async fn the_beginning_of_a_broken_stream_is_stored_and_the_break_reported() {
    let chat = ChatInstance::open().await;
    chat.remember("The spare keys hang behind the green door.").await;
    for fault in [Fault::Cut { after: Some(5) }, Fault::ErrorEvent] {
        chat.fails(fault);
        let mut body = said("today", "Where are the spare keys?");
        body["stream"] = true.into();
        let events = chat.stream("/v1/chat", &[], &body).await.events().await;
        let (name, end) = events.last().unwrap();
        assert_eq!(name, "error", "{events:?}");
        assert!(end["hint"].is_string() && end["stored"]["user_message"].is_string(), "{end}");
        let id = end["stored"]["assistant_message"].as_str().unwrap();
        let kept = chat.instance.get(&format!("/v1/memories/{id}?group_id=g")).await.ok();
        let said: String = events.iter().filter_map(|(_, data)| data["content"].as_str()).collect();
        assert!(!said.is_empty() && kept["content"] == said, "{kept}");
        assert_eq!(kept["user_metadata"], json!({"incomplete": true}));
    }
}

#[tokio::test]
async fn an_overflow_is_retried_with_less_of_the_memory() {
    let chat = ChatInstance::open().await;
    for n in 0..40 {
        chat.remember(&format!("Bicycle number {n} is red and stands in the yard behind the house.")).await;
    }
    chat.fails(Fault::Overflow { tokens: 500 });
    let answer = chat.say("today", "Which bicycle stands in the yard?").await.ok();
    let used = answer["memories"].as_array().unwrap().len();
    assert!(used > 0 && used < 20, "{used}");
    chat.fails(Fault::Overflow { tokens: 40 });
    let answer = chat.say("today", "Which bicycle stands in the yard?").await.ok();
    assert_eq!(answer["memories"], json!([]), "without any memory it fits");
    chat.fails(Fault::Overflow { tokens: 1 });
    let answer = chat.say("today", "Which bicycle stands in the yard?").await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["code"], "context_overflow");
    assert!(answer.json()["hint"].as_str().unwrap().contains("without any memory"));
}

#[tokio::test]
async fn answers_of_different_endpoints_are_read() {
    let chat = ChatInstance::open().await;
    chat.remember("The spare keys hang behind the green door.").await;
    for fault in [
        Fault::RefusesUsage,
        Fault::IgnoresStream,
        Fault::NoDone,
        Fault::Reasoning,
        Fault::Comments,
        Fault::Torn,
        Fault::SlowWords { time: Pause(Duration::from_millis(1)) },
    ] {
        chat.fails(fault.clone());
        let mut body = said("today", "Where are the spare keys?");
        body["stream"] = true.into();
        let events = chat.stream("/v1/chat", &[], &body).await.events().await;
        let said: String = events
            .iter()
            .filter(|(name, _)| name == "delta")
            .filter_map(|(_, data)| data["content"].as_str())
            .collect();
        assert_eq!(said, "The spare keys hang behind the green door.", "{fault:?}: {events:?}");
        assert_eq!(events.last().unwrap().0, "done", "{fault:?}");
    }
    chat.fails(Fault::InvalidUtf8);
    let mut body = said("today", "Where are the spare keys?");
    body["stream"] = true.into();
    let events = chat.stream("/v1/chat", &[], &body).await.events().await;
    assert_eq!(events.last().unwrap().0, "done", "{events:?}");
    let (producer, kept) = chat.stored().await.pop().unwrap();
    assert!(producer == "bot" && kept.contains('\u{fffd}'), "{kept:?}");
}

/// A request that the endpoint does not like says that the endpoint is well.
#[tokio::test]
async fn refused_requests_do_not_open_the_circuit_breaker() {
    let chat = ChatInstance::open().await;
    for status in [500, 400, 500, 429, 500, 400, 500] {
        chat.fails(Fault::Status { status, retry_after: Some(60) });
        let answer = chat.instance.post("/v1/chat/completions", &said("today", "hello")).await;
        assert_eq!(answer.status, status);
    }
    assert_eq!(chat.instance.get("/v1/usage").await.ok()["resting_seconds"], json!(null));
}

#[tokio::test]
async fn a_repeated_unanswered_question_is_one_message() {
    let chat = ChatInstance::open().await;
    chat.fails(Fault::Status { status: 400, retry_after: None });
    let mut ids = vec![];
    for _ in 0..3 {
        let answer = chat.say("today", "Where are the spare keys?").await.json();
        ids.push(answer["stored"]["user_message"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!((ids.len(), chat.stored().await.len()), (1, 1));
    chat.model.clear_faults();
    chat.say("today", "Where are the spare keys?").await.ok();
    chat.say("today", "Where are the spare keys?").await.ok();
    assert_eq!(chat.stored().await.len(), 4, "after an answer it is stored again");
}
