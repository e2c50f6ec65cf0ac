use crate::test_instance::Instance;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

fn episodes(count: usize) -> Vec<Value> {
    (0..count)
        .map(|i| json!({"episode_content": format!("message {i}"), "timestamp": 1_700_000_000 + i}))
        .collect()
}

#[tokio::test]
async fn stores_a_batch_in_order() {
    let instance = Instance::open().await;
    let session = json!({"group_id": "g", "user_id": ["ann"], "session_id": "s"});
    let mut batch = episodes(3);
    batch[1]["session"] = json!({"session_id": "other", "user_id": ["bob"]});
    let answer = instance.post("/v1/memories/batch", &json!({"session": session, "episodes": batch})).await;
    let body = answer.ok();
    assert_eq!(body["status"], "stored");
    assert_eq!(answer.headers["group-id"], "g");
    let page = instance.get("/v1/memories?group_id=g").await.ok();
    let listed: Vec<&Value> =
        page["episodes"].as_array().unwrap().iter().map(|episode| &episode["id"]).collect();
    assert_eq!(json!(listed), body["ids"]);
    let seen = |field: &str| {
        page["episodes"].as_array().unwrap().iter().map(|e| e[field].clone()).collect::<Vec<_>>()
    };
    assert_eq!(seen("session_id"), ["s", "other", "s"]);
    assert_eq!(seen("producer_id"), ["ann", "bob", "ann"]);
}

#[tokio::test]
async fn a_batch_without_a_session_takes_that_of_its_first_episode() {
    let instance = Instance::open().await;
    let mut batch = episodes(2);
    batch[0]["session"] = json!({"group_id": "g", "session_id": "s", "user_id": ["ann"]});
    batch[1]["session"] = json!({"group_id": "g", "session_id": "t", "user_id": ["ann"]});
    instance.post("/v1/memories/batch", &json!({"episodes": batch})).await.ok();
    assert_eq!(instance.get("/v1/groups/g/sessions").await.ok()["sessions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let instance = Instance::open().await;
    let session = json!({"group_id": "g", "user_id": ["ann"]});
    let second = |change: &Value| {
        let mut batch = episodes(2);
        for (key, value) in change.as_object().unwrap() {
            batch[1][key] = value.clone();
        }
        json!({"session": session, "episodes": batch})
    };
    for (body, status, code, loc) in [
        (
            second(&json!({"episode_content": ""})),
            422,
            "empty_content",
            json!(["body", "episodes", 1, "episode_content"]),
        ),
        (
            second(&json!({"timestamp": "soon"})),
            422,
            "invalid_time",
            json!(["body", "episodes", 1, "timestamp"]),
        ),
        (
            second(&json!({"session": {"group_id": "h"}})),
            422,
            "other_group",
            json!(["body", "episodes", 1, "session", "group_id"]),
        ),
        (second(&json!({"producer": "mallory"})), 400, "not_a_member", Value::Null),
        (
            json!({"session": session, "episodes": []}),
            422,
            "batch_size_out_of_range",
            json!(["body", "episodes"]),
        ),
        (
            json!({"session": session, "episodes": episodes(1001)}),
            422,
            "batch_size_out_of_range",
            json!(["body", "episodes"]),
        ),
        (json!({"session": session, "episodes": ["hi"]}), 422, "wrong_type", json!(["body", "episodes", 0])),
        (json!({"session": session}), 422, "missing_field", json!(["body", "episodes"])),
    ] {
        let answer = instance.post("/v1/memories/batch", &body).await;
        assert_eq!(answer.code(status), code);
        assert_eq!(answer.json()["detail"][0]["loc"], loc);
    }
    assert_eq!(instance.get("/v1/sessions").await.ok(), json!({"sessions": []}));
    instance.post("/v1/memories/batch", &json!({"session": session, "episodes": episodes(1000)})).await.ok();
}

#[tokio::test]
async fn pages_through_a_group_and_a_session() {
    let instance = Instance::open().await;
    let session = json!({"group_id": "g", "session_id": "s"});
    instance.post("/v1/memories/batch", &json!({"session": session, "episodes": episodes(7)})).await.ok();
    instance
        .post(
            "/v1/memories",
            &json!({"session": {"group_id": "g", "session_id": "t"}, "episode_content": "x"}),
        )
        .await
        .ok();
    let mut seen = vec![];
    let mut cursor = String::new();
    loop {
        let page =
            instance.get(&format!("/v1/memories?group_id=g&session_id=s&limit=3&cursor={cursor}")).await.ok();
        let episodes = page["episodes"].as_array().unwrap();
        seen.extend(episodes.iter().map(|episode| episode["content"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(|i| format!("message {i}")).collect::<Vec<_>>());
    assert_eq!(instance.get("/v1/memories?group_id=g").await.ok()["episodes"].as_array().unwrap().len(), 8);
    for (query, code) in [
        ("limit=0", "limit_out_of_range"),
        ("limit=-1", "limit_out_of_range"),
        ("limit=1001", "limit_out_of_range"),
        ("limit=99999999999999999999999", "limit_out_of_range"),
        ("limit=ten", "wrong_type"),
        ("cursor=abc", "invalid_cursor"),
        ("group_id=a%00", "nul_character"),
    ] {
        assert_eq!(instance.get(&format!("/v1/memories?{query}")).await.code(422), code, "{query}");
    }
}

#[tokio::test]
async fn reads_and_deletes_one_memory() {
    let instance = Instance::open().await;
    let session = json!({"group_id": "g"});
    let stored =
        instance.post("/v1/memories", &json!({"session": session, "episode_content": "tea"})).await.ok();
    let id = stored["id"].as_str().unwrap();
    let bare = id.strip_prefix("episode-").unwrap();
    for path in [format!("/v1/memories/{id}?group_id=g"), format!("/v1/memories/{bare}?group_id=g")] {
        assert_eq!(instance.get(&path).await.ok()["id"], id);
    }
    for path in [format!("/v1/memories/{id}"), format!("/v1/memories/{id}?group_id=other")] {
        assert_eq!(instance.get(&path).await.code(404), "not_found");
        assert_eq!(instance.delete(&path).await.code(404), "not_found");
    }
    assert_eq!(instance.delete(&format!("/v1/memories/{id}?group_id=g")).await.ok(), json!({"deleted": 1}));
    assert_eq!(instance.delete(&format!("/v1/memories/{id}?group_id=g")).await.code(404), "not_found");
    assert_eq!(
        instance.post("/v1/memories/search", &json!({"session": session, "query": "tea"})).await.ok(),
        json!([])
    );
    assert_eq!(instance.get("/v1/memories/seven").await.code(422), "invalid_id");
}

#[test]
fn any_query_string_gets_an_answer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let instance = runtime.block_on(Instance::open());
    let mut runner = TestRunner::new(Config { cases: 128, failure_persistence: None, ..Config::default() });
    let query = "[a-z_=&%0-9+]{0,40}";
    runner
        .run(&query, |query| {
            let answer = runtime.block_on(instance.get(&format!("/v1/memories?{query}")));
            assert!(
                answer.status.is_success() || answer.status.is_client_error(),
                "{query}: {}",
                answer.text
            );
            Ok(())
        })
        .unwrap();
}
