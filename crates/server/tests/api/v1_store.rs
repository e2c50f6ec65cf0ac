use crate::test_instance::{Answer, Instance};
use serde_json::{Value, json};

fn message(content: &str) -> Value {
    json!({
        "session": {"group_id": "team", "agent_id": ["assistant"], "user_id": ["brandon"], "session_id": "monday"},
        "producer": "brandon",
        "produced_for": "assistant",
        "episode_content": content,
        "episode_type": "message",
        "metadata": {"source": "demo"}
    })
}

fn with(mut message: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

async fn stored(instance: &Instance, changes: &Value) -> Value {
    let id = instance.post("/v1/memories", &with(message("Something"), changes)).await.ok()["id"].clone();
    instance.get(&format!("/v1/memories/{}?group_id=team", id.as_str().unwrap())).await.ok()
}

#[tokio::test]
async fn the_plans_example_works_word_for_word() {
    let instance = Instance::open().await;
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "*/*"),
        ("user-agent", "curl/8.5.0"),
    ];
    let body = message("Brandon loves building AI systems").to_string();
    let answer = instance.send("POST", "/v1/memories", &form, body).await;
    let stored = answer.ok();
    assert!(stored["id"].as_str().unwrap().starts_with("episode-"));
    assert_eq!(stored["status"], "stored");
    assert_eq!(stored.as_object().unwrap().len(), 2);
    let question = json!({"session": message("")["session"], "query": "What does Brandon love?", "limit": 5});
    let found = instance.post("/v1/memories/search", &question).await.ok();
    assert_eq!(found[0]["content"], "Brandon loves building AI systems");
    assert_eq!(format!("episode-{}", found[0]["uuid"].as_str().unwrap()), stored["id"]);
}

#[tokio::test]
async fn keeps_every_field() {
    let instance = Instance::open().await;
    let changes = json!({
        "episode_content": " Grüße, 世界 \u{1f600}\n",
        "episode_type": "text",
        "role": "user",
        "timestamp": "2023-05-08T13:56:00+02:00",
        "metadata": {"nested": {"list": [1, null, "x"]}, "n": 1.5},
        "unknown": "ignored"
    });
    let mut kept = stored(&instance, &changes).await;
    let (id, uuid) = (kept["id"].take(), kept["uuid"].take());
    assert_eq!(id, format!("episode-{}", uuid.as_str().unwrap()));
    let expected = json!({
        "id": null, "uuid": null,
        "content": " Grüße, 世界 \u{1f600}\n",
        "episode_type": "text",
        "content_type": "string",
        "timestamp": "2023-05-08T11:56:00.000000",
        "group_id": "team",
        "session_id": "monday",
        "producer_id": "brandon",
        "produced_for_id": "assistant",
        "role": "user",
        "user_metadata": {"nested": {"list": [1, null, "x"]}, "n": 1.5}
    });
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn reads_the_time_wherever_clients_put_it() {
    let instance = Instance::open().await;
    for (changes, time) in [
        (json!({"timestamp": "2023-05-08 13:56:00"}), "2023-05-08T13:56:00.000000"),
        (json!({"timestamp": 1_683_547_200}), "2023-05-08T12:00:00.000000"),
        (json!({"timestamp": 1_683_547_200_500_i64}), "2023-05-08T12:00:00.500000"),
        (json!({"metadata": {"timestamp": "2023-05-08T13:56:00Z"}}), "2023-05-08T13:56:00.000000"),
        (json!({"metadata": {"timestamp": 1_683_547_200.25}}), "2023-05-08T12:00:00.250000"),
        (
            json!({"timestamp": "2023-05-08", "metadata": {"timestamp": "2020-01-01"}}),
            "2023-05-08T00:00:00.000000",
        ),
        (json!({"timestamp": null, "metadata": {"timestamp": "2020-01-01"}}), "2020-01-01T00:00:00.000000"),
    ] {
        assert_eq!(stored(&instance, &changes).await["timestamp"], time, "{changes}");
    }
}

#[tokio::test]
async fn missing_fields_are_filled_in() {
    let instance = Instance::open().await;
    for path in ["/v1/memories", "/v1/memories/episodic"] {
        let answer = instance.post(path, &json!({"episode_content": "Hello", "metadata": null})).await;
        assert_eq!(answer.ok()["status"], "stored");
        assert_eq!(answer.headers["group-id"], "default");
        assert_eq!(answer.headers["session-id"], "default");
        assert_eq!(answer.headers["user-id"], "default");
        assert!(!answer.headers.contains_key("agent-id"));
    }
    let page = instance.get("/v1/memories").await.ok();
    let first = &page["episodes"][0];
    assert_eq!(first["producer_id"], "default");
    assert_eq!(first["produced_for_id"], "");
    assert_eq!(first["episode_type"], "message");
    assert_eq!(first["user_metadata"], json!({}));
    assert!(first.get("role").is_none());
}

#[tokio::test]
async fn a_missing_producer_is_the_user_of_the_session() {
    let instance = Instance::open().await;
    let headers = [("user-id", "ann"), ("group-id", "g")];
    instance.send("POST", "/v1/memories", &headers, r#"{"episode_content":"one"}"#).await.ok();
    let headers = [("user_id", "bob, ann"), ("group_id", "g")];
    let answer =
        instance.send("POST", "/v1/memories", &headers, r#"{"episode_content":"two","producer":""}"#).await;
    assert_eq!(answer.ok()["status"], "stored");
    assert_eq!(answer.headers["user-id"], "ann,bob");
    let only_agents = json!({"session": {"group_id": "g", "agent_id": ["bot"]}, "episode_content": "three"});
    instance.post("/v1/memories", &only_agents).await.ok();
    let page = instance.get("/v1/memories?group_id=g").await.ok();
    let producers: Vec<&Value> =
        page["episodes"].as_array().unwrap().iter().map(|e| &e["producer_id"]).collect();
    assert_eq!(producers, ["ann", "3#ann3#bob", "default"]);
}

#[tokio::test]
async fn producer_and_recipient_must_be_members() {
    let instance = Instance::open().await;
    let stranger = with(message("x"), &json!({"producer": "mallory"}));
    for path in ["/v1/memories", "/v1/memories/episodic"] {
        let answer = instance.post(path, &stranger).await;
        assert_eq!(answer.code(400), "not_a_member");
        assert_eq!(
            answer.json()["detail"],
            "either mallory or assistant is not in ['brandon'] or ['assistant']"
        );
    }
    let answer =
        instance.post("/v1/memories", &with(message("x"), &json!({"produced_for": "mallory"}))).await;
    assert_eq!(answer.code(400), "not_a_member");
    assert_eq!(instance.get("/v1/sessions").await.ok(), json!({"sessions": []}), "nothing was made");
    assert_eq!(instance.post("/v1/memories/profile", &stranger).await.ok()["status"], "queued");
}

#[tokio::test]
async fn a_user_who_joined_once_stays_a_member() {
    let instance = Instance::open().await;
    instance.post("/v1/memories", &message("first")).await.ok();
    let session = json!({"group_id": "team", "user_id": ["zoe"], "session_id": "monday"});
    let joins =
        json!({"session": session, "producer": "zoe", "produced_for": "brandon", "episode_content": "hi"});
    instance.post("/v1/memories", &joins).await.ok();
    let sessions = instance.get("/v1/sessions").await.ok();
    assert_eq!(sessions["sessions"][0]["user_ids"], json!(["brandon", "zoe"]));
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn messages_for_the_profile_are_durable_but_not_found() {
    let instance = Instance::open().await;
    let answer = instance.post("/v1/memories/profile", &message("I like tea")).await.ok();
    assert_eq!(answer["status"], "queued");
    let question = json!({"session": message("")["session"], "query": "tea"});
    assert_eq!(instance.post("/v1/memories/search", &question).await.ok(), json!([]));
    let id = answer["id"].as_str().unwrap();
    let kept = instance.get(&format!("/v1/memories/{id}?group_id=team")).await.ok();
    assert_eq!(kept["content"], "I like tea");
}

#[tokio::test]
async fn forgets_one_session() {
    let instance = Instance::open().await;
    instance.post("/v1/memories", &message("about tea")).await.ok();
    let tuesday = json!({"group_id": "team", "user_id": ["brandon"], "session_id": "tuesday"});
    let kept = json!({"session": tuesday, "episode_content": "more about tea"});
    instance.post("/v1/memories", &kept).await.ok();
    let forget = json!({"session": message("")["session"]});
    for deleted in [1, 0] {
        let answer = instance.send("DELETE", "/v1/memories", &[], forget.to_string()).await;
        assert_eq!(answer.ok(), json!({"deleted": deleted}));
        assert_eq!(answer.headers["session-id"], "monday");
        let found =
            instance.post("/v1/memories/search", &json!({"session": tuesday, "query": "tea"})).await.ok();
        let contents: Vec<&Value> = found.as_array().unwrap().iter().map(|hit| &hit["content"]).collect();
        assert_eq!(contents, ["more about tea"]);
    }
    let answer: Answer = instance.delete("/v1/memories").await;
    assert_eq!(answer.code(422), "missing_field");
    let unchanged = "/memmachine/v1/memories";
    let tuesday = json!({"session": {"group_id": "team", "session_id": "tuesday"}});
    let answer = instance.send("DELETE", unchanged, &[], tuesday.to_string()).await;
    assert_eq!((answer.ok(), &answer.headers["x-memcloud-deleted"]), (Value::Null, &"1".parse().unwrap()));
}

#[tokio::test]
async fn a_deletion_names_its_session_and_has_no_unknown_fields() {
    let instance = Instance::open().await;
    for session in [json!({}), json!({"group_id": "team", "user_id": ["ann"], "session_id": "old"})] {
        let message = json!({"session": session, "episode_content": "about tea"});
        instance.post("/v1/memories", &message).await.ok();
    }
    for (body, problems) in [
        (json!({}), vec!["body.session.session_id"]),
        (json!({"session": {"group_id": "team", "user_id": ["ann"]}}), vec!["body.session.session_id"]),
        (
            json!({"session": {"sesion_id": "old"}, "dry_run": true}),
            vec!["body.session.sesion_id", "body.dry_run", "body.session.session_id"],
        ),
        (json!({"session": {"session_id": "old", "group": "team"}}), vec!["body.session.group"]),
    ] {
        for path in ["/v1/memories", "/memmachine/v1/memories"] {
            let refused = instance.send("DELETE", path, &[], body.to_string()).await;
            assert!(refused.json()["hint"].as_str().unwrap().contains("nothing was"), "{}", refused.text);
            refused.code(422);
            let detail = refused.json()["detail"].clone();
            let places = detail.as_array().unwrap().iter().map(|problem| {
                problem["loc"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|step| step.as_str().unwrap())
                    .collect::<Vec<_>>()
                    .join(".")
            });
            assert_eq!(places.collect::<Vec<_>>(), problems, "{body}");
        }
    }
    let wrong_type = json!({"session": {"session_id": 7, "group": "team"}, "dry_run": true}).to_string();
    let answer = instance.send("DELETE", "/v1/memories", &[], wrong_type).await;
    let places =
        answer.json()["detail"].as_array().unwrap().iter().map(|problem| problem["loc"].clone()).collect();
    assert_eq!(
        Value::Array(places),
        json!([["body", "session", "session_id"], ["body", "session", "group"], ["body", "dry_run"]])
    );
    let named = json!({"session": {"group_id": "team", "session_id": "old"}}).to_string();
    for (headers, code) in [
        (&[("session-id", "other")][..], "session_named_twice"),
        (&[("group-id", "other")], "session_named_twice"),
        (&[("session-id", "old"), ("session-id", "other")], "repeated_header"),
    ] {
        let answer = instance.send("DELETE", "/v1/memories", headers, named.clone()).await;
        assert_eq!(answer.code(422), code, "{headers:?}");
    }
    let id = "01a20df8-3711-7000-8c3e-9b7c21d946ad";
    let twice = format!("/v1/memories/{id}?group_id=default&group_id=team");
    assert_eq!(instance.delete(&twice).await.code(422), "repeated_parameter");
    for path in
        [&*format!("/v1/memories/{id}"), "/v1/memories/profile/1", "/v1/spaces/universal/no", "/v1/keys/a"]
    {
        let answer = instance.send("DELETE", path, &[], r#"{"dry_run": true}"#).await;
        assert_eq!(answer.code(422), "unknown_field", "{path}");
        assert_ne!(instance.send("DELETE", path, &[], "{}").await.status, 422, "{path}");
    }
    let clear = json!({"session": {"group_id": "team", "session_id": "old"}}).to_string();
    let answer = instance.send("DELETE", "/v1/memories?session_id=old", &[], clear.clone()).await;
    assert_eq!(answer.code(422), "unknown_field");
    let answer = instance.send("DELETE", "/v1/memories?session_id=old", &[], "{\"dry_run\": true}").await;
    assert_eq!(answer.json()["detail"].as_array().unwrap().len(), 3, "all problems at once: {}", answer.text);
    for group in ["default", "team"] {
        let left = instance.get(&format!("/v1/memories?group_id={group}")).await.ok();
        assert_eq!(left["episodes"].as_array().unwrap().len(), 1, "{group}");
    }
    let only_group = instance.send("DELETE", "/v1/memories", &[("group-id", "team")], "{}").await;
    only_group.code(422);
    let named = [("session-id", "default")];
    assert_eq!(instance.send("DELETE", "/v1/memories", &named, "{}").await.ok(), json!({"deleted": 1}));
    assert_eq!(instance.send("DELETE", "/v1/memories", &[], clear).await.ok(), json!({"deleted": 1}));
    let id = "01a20df8-3711-7000-8c3e-9b7c21d946ad";
    for path in [format!("/v1/memories/{id}?grop_id=team"), "/v1/memories/profile/1?grop_id=team".into()] {
        assert_eq!(instance.delete(&path).await.code(422), "unknown_field", "{path}");
    }
}
