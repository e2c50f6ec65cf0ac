//! A profile that learns, through the front door.

use std::time::Duration;

use memcloud_fake_llm::{Fault, Faults, Kind};
use memcloud_ports::Budget;
use serde_json::{Value, json};

use super::harness::{ChatInstance, With};

async fn learning() -> ChatInstance {
    ChatInstance::with(With { learns: true, ..With::default() }).await
}

/// What is known now, as `feature: value`.
async fn known(chat: &ChatInstance) -> Vec<String> {
    let facts = chat.instance.get("/v1/memories/profile?group_id=g").await.ok();
    let described =
        |fact: &Value| format!("{}: {}", fact["feature"].as_str().unwrap(), fact["value"].as_str().unwrap());
    let mut facts: Vec<String> = facts["facts"].as_array().unwrap().iter().map(described).collect();
    facts.sort();
    facts
}

/// Waits until this is known and nothing else.
async fn knows(chat: &ChatInstance, wanted: &[&str]) {
    for _ in 0..2_000 {
        if known(chat).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?} and not {wanted:?}; {}", known(chat).await, queue(chat).await);
}

async fn queue(chat: &ChatInstance) -> Value {
    chat.instance.get("/v1/memories/profile/queue").await.ok()
}

async fn parked(chat: &ChatInstance, count: u64) -> Value {
    for _ in 0..4_000 {
        let queue = queue(chat).await;
        if queue["parked"] == count {
            return queue;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{}", queue(chat).await);
}

/// Stores something that Ann said at that time.
async fn said_at(chat: &ChatInstance, text: &str, at: &str) {
    let body = json!({
        "session": {"group_id": "g", "session_id": "s", "user_id": ["Ann"], "agent_id": []},
        "producer": "Ann", "produced_for": "", "episode_content": text, "timestamp": at,
    });
    chat.instance.post("/v1/memories", &body).await.ok();
}

fn search(query: &str) -> Value {
    json!({
        "session": {"group_id": "g", "session_id": "s", "user_id": ["Ann"], "agent_id": []},
        "query": query, "filter": null,
    })
}

#[tokio::test]
async fn learned_facts_appear_in_searches_and_chats() {
    let chat = learning().await;
    let id = chat.remember("I live in Oslo, and my dog is called Rex.").await;
    knows(&chat, &["city: Oslo", "dog: Rex"]).await;
    let found = chat.instance.post("/v1/memories/search", &search("In which city does she live?")).await.ok();
    let facts = found["content"]["profile_memory"].as_array().unwrap();
    let city = facts.iter().find(|fact| fact["feature"] == "city").unwrap();
    assert_eq!((&city["tag"], &city["value"]), (&json!("Home"), &json!("Oslo")));
    let metadata = &city["metadata"];
    assert!(metadata["id"].is_i64() && metadata["similarity_score"].is_number(), "{city}");
    assert_eq!(metadata["citations"], json!([id.trim_start_matches("episode-")]));
    assert_eq!((&metadata["user_id"], &metadata["prompt"]), (&json!("Ann"), &json!("profile/1")));
    assert_eq!(metadata["model"], "fake-llm");
    let found = chat.instance.post("/v1/memories/profile/search", &search("Rex the dog")).await.ok();
    assert_eq!(found["content"]["profile_memory"][0]["value"], "Rex");
    assert!(found["content"].get("episodic_memory").is_none());
    chat.say("today", "What should I cook?").await.ok();
    let context = chat.asked()["messages"][0]["content"].as_str().unwrap().to_owned();
    let facts = context.split("<facts>").nth(1).unwrap().split("</facts>").next().unwrap();
    assert!(
        facts.contains("city: Oslo") && facts.contains("dog: Rex") && facts.contains("\"Ann\""),
        "{context}"
    );
    assert_eq!(chat.instance.get("/health").await.ok()["memory_managers"]["profile_memory"], true);
}

#[tokio::test]
async fn changed_facts_are_retired_and_stay_readable() {
    let chat = learning().await;
    said_at(&chat, "I live in Oslo.", "2024-03-01T12:00:00Z").await;
    knows(&chat, &["city: Oslo"]).await;
    said_at(&chat, "I moved to Lisbon.", "2025-06-01T12:00:00Z").await;
    knows(&chat, &["city: Lisbon"]).await;
    let then = async |at: &str| {
        let path = format!("/v1/memories/profile?group_id=g&user_id=Ann&as_of={at}");
        chat.instance.get(&path).await.ok()["facts"].clone()
    };
    assert_eq!(then("2024-12-24").await[0]["value"], "Oslo");
    assert_eq!(then("2024-12-24").await[0]["metadata"]["valid_to"], "2025-06-01T12:00:00Z");
    assert_eq!(then("2026-01-01").await[0]["value"], "Lisbon");
    assert_eq!(then("2024-01-01").await, json!([]));
    let mut asked = search("Where does she live?");
    asked["as_of"] = "2024-12-24".into();
    let found = chat.instance.post("/v1/memories/profile/search", &asked).await.ok();
    assert_eq!(found["content"]["profile_memory"][0]["value"], "Oslo");
    asked["as_of"] = "one day".into();
    assert_eq!(chat.instance.post("/v1/memories/profile/search", &asked).await.code(422), "invalid_time");
}

#[tokio::test]
async fn deleting_a_message_deletes_its_facts() {
    let chat = learning().await;
    let id = chat.remember("I live in Oslo.").await;
    chat.remember("My name is Ann.").await;
    knows(&chat, &["city: Oslo", "name: Ann"]).await;
    chat.instance.delete(&format!("/v1/memories/{id}?group_id=g")).await.ok();
    assert_eq!(known(&chat).await, ["name: Ann"], "what rests on nothing else is gone with it");
    let facts = chat.instance.get("/v1/memories/profile?group_id=g").await.ok();
    let id = facts["facts"][0]["metadata"]["id"].as_i64().unwrap();
    assert_eq!(chat.instance.delete(&format!("/v1/memories/profile/{id}?group_id=other")).await.status, 404);
    chat.instance.delete(&format!("/v1/memories/profile/{id}?group_id=g")).await.ok();
    assert!(known(&chat).await.is_empty());
    assert_eq!(chat.instance.delete("/v1/memories/profile/x?group_id=g").await.code(422), "invalid_fact_id");
}

#[tokio::test]
async fn people_are_kept_apart_and_programs_are_not_learned_about() {
    let chat = learning().await;
    let say = async |group: &str, who: &str, text: &str| {
        let body = json!({
            "session": {"group_id": group, "session_id": "s", "user_id": ["Ann", "Bob"], "agent_id": ["bot"]},
            "producer": who, "produced_for": "", "episode_content": text,
        });
        chat.instance.post("/v1/memories", &body).await.ok();
    };
    say("g", "bot", "I live in Silicon Valley.").await;
    say("other", "Ann", "I live in Rome.").await;
    say("g", "Bob", "I live in Bonn.").await;
    say("g", "Ann", "I live in Oslo.").await;
    knows(&chat, &["city: Bonn", "city: Oslo"]).await;
    let found = chat.instance.post("/v1/memories/profile/search", &search("Where does she live?")).await.ok();
    let values: Vec<&Value> =
        found["content"]["profile_memory"].as_array().unwrap().iter().map(|f| &f["value"]).collect();
    assert_eq!(values, ["Oslo"], "the session names Ann alone");
}

#[tokio::test]
async fn a_message_for_the_profile_only_is_learned_from() {
    let chat = learning().await;
    let body = json!({
        "session": {"group_id": "g", "session_id": "s", "user_id": ["Ann"], "agent_id": []},
        "producer": "Ann", "produced_for": "", "episode_content": "I am allergic to nuts.",
    });
    assert_eq!(chat.instance.post("/v1/memories/profile", &body).await.ok()["status"], "queued");
    knows(&chat, &["allergy: nuts"]).await;
}

#[tokio::test]
async fn a_poisoned_message_is_parked_after_five_attempts_and_the_others_are_learned() {
    let chat = learning().await;
    for fault in
        [Fault::BadJson, Fault::WrongSchema, Fault::Empty, Fault::Status { status: 400, retry_after: None }]
    {
        chat.model.clear_calls();
        chat.model.set_faults(Faults::from(fault.clone()).only_if("POISON").only(Kind::Extract));
        let batch = json!({
            "session": {"group_id": "g", "session_id": "s", "user_id": ["Ann"], "agent_id": []},
            "episodes": [
                {"producer": "Ann", "produced_for": "", "episode_content": "I live in Oslo."},
                {"producer": "Ann", "produced_for": "", "episode_content": "POISON"},
                {"producer": "Ann", "produced_for": "", "episode_content": "My name is Ann."},
            ],
        });
        let stored = chat.instance.post("/v1/memories/batch", &batch).await.ok();
        let poisoned = stored["ids"][1].as_str().unwrap().to_owned();
        knows(&chat, &["city: Oslo", "name: Ann"]).await;
        let queue = parked(&chat, 1).await;
        assert_eq!(queue["waiting"], 0, "{queue}");
        let message = &queue["parked_messages"][0];
        assert_eq!(
            (&message["id"], &message["attempts"]),
            (&json!(poisoned), &json!(5)),
            "{fault:?}: {queue}"
        );
        assert!(message["reason"].as_str().unwrap().contains("model"), "{queue}");
        let tried =
            chat.model.calls().asked.iter().filter(|call| call.body.to_string().contains("POISON")).count();
        assert_eq!(tried, 5, "{fault:?}");
        // Let go, it is learned from like any other.
        chat.model.clear_faults();
        let retried =
            chat.instance.send("POST", "/v1/memories/profile/queue/retry?group_id=g", &[], "").await.ok();
        assert_eq!(retried["retried"], 1);
        let queue = parked(&chat, 0).await;
        assert_eq!(queue["parked_messages"], json!([]));
        for id in stored["ids"].as_array().unwrap() {
            chat.instance.delete(&format!("/v1/memories/{}?group_id=g", id.as_str().unwrap())).await.ok();
        }
        knows(&chat, &[]).await;
    }
}

#[tokio::test]
async fn an_outage_parks_nothing() {
    let chat = learning().await;
    for fault in [
        Fault::Status { status: 401, retry_after: None },
        Fault::Status { status: 429, retry_after: Some(1) },
        Fault::Status { status: 503, retry_after: None },
    ] {
        chat.model.set_faults(Faults::from(fault));
        chat.remember("I live in Oslo.").await;
        let asked = chat.model.calls().calls;
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let queue = queue(&chat).await;
        assert_eq!(queue["parked"], 0, "{queue}");
        assert!(queue["waiting"].as_u64().unwrap() > 0, "{queue}");
        assert!(chat.model.calls().calls - asked < 20, "it is not asked all the time");
    }
}

#[tokio::test]
async fn learning_stops_at_the_limit_and_nothing_is_lost() {
    let budget = Budget { calls_per_day: Some(1), ..Budget::default() };
    let chat = ChatInstance::with(With { learns: true, budget, ..With::default() }).await;
    chat.remember("I live in Oslo.").await;
    knows(&chat, &["city: Oslo"]).await;
    chat.remember("My name is Ann.").await;
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(chat.model.calls().calls, 1);
    }
    let queue = queue(&chat).await;
    assert_eq!((&queue["waiting"], &queue["parked"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn an_endpoint_without_schemas_is_asked_in_words() {
    let chat = learning().await;
    chat.model.set_faults(Faults::from(Fault::RefusesFormat));
    chat.remember("I live in Oslo.").await;
    knows(&chat, &["city: Oslo"]).await;
    let asked = chat.model.calls().calls;
    chat.remember("My name is Ann.").await;
    knows(&chat, &["city: Oslo", "name: Ann"]).await;
    assert_eq!(chat.model.calls().calls, asked + 1, "it is not asked for what it refused again");
}

#[tokio::test]
async fn many_facts_of_a_tag_are_merged_and_none_is_lost() {
    let chat = learning().await;
    let likes: Vec<String> = (0..24).map(|n| format!("I like dish number {n}.")).collect();
    let episodes: Vec<Value> = likes
        .iter()
        .map(|text| json!({"producer": "Ann", "produced_for": "", "episode_content": text}))
        .collect();
    let session = json!({"group_id": "g", "session_id": "s", "user_id": ["Ann"], "agent_id": []});
    chat.instance.post("/v1/memories/batch", &json!({"session": session, "episodes": episodes})).await.ok();
    for _ in 0..2_000 {
        let known = known(&chat).await;
        let all = known.join("; ");
        if known.len() < 12 && (0..24).all(|n| all.contains(&format!("dish number {n}"))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", known(&chat).await);
}

/// A history that is imported backwards leaves the same present, and the past stays readable.
#[tokio::test]
async fn an_older_message_does_not_replace_a_current_fact() {
    let chat = learning().await;
    said_at(&chat, "I live in Oslo.", "2024-03-01T12:00:00Z").await;
    knows(&chat, &["city: Oslo"]).await;
    said_at(&chat, "I live in Bonn.", "2019-03-01T12:00:00Z").await;
    for _ in 0..1_000 {
        let queue = queue(&chat).await;
        if queue["waiting"] == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(known(&chat).await, ["city: Oslo"]);
    let then = chat.instance.get("/v1/memories/profile?group_id=g&as_of=2020-01-01").await.ok();
    assert_eq!(then["facts"][0]["value"], "Bonn", "{then}");
}
