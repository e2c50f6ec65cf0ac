use std::sync::Arc;

use crate::test_instance::{Instance, Letters};
use memcloud_server::{ApiKeys, Settings};
use serde_json::{Value, json};

/// A group with two sessions: five cups of tea on Monday, one on Tuesday.
async fn tea() -> Instance {
    let instance = Instance::with(ApiKeys::none(), Settings::default(), Some(Arc::new(Letters))).await;
    for (i, content) in
        ["green tea", "black tea", "tea with milk", "no coffee", "tea tea tea"].iter().enumerate()
    {
        let message = json!({
            "session": session("monday"), "producer": "ann", "produced_for": "bot", "episode_content": content,
            "episode_type": if i == 0 { "note" } else { "message" },
            "metadata": {"cup": i, "hot": i % 2 == 0, "kind": content, "timestamp": format!("2024-01-0{}T08:00:00", i + 1)}
        });
        instance.post("/v1/memories", &message).await.ok();
    }
    let other = json!({
        "session": session("tuesday"), "producer": "bob", "episode_content": "tea on tuesday",
        "metadata": {"timestamp": "2024-01-09T08:00:00"}
    });
    instance.post("/v1/memories", &other).await.ok();
    instance
}

fn session(name: &str) -> Value {
    json!({"group_id": "cafe", "user_id": ["ann", "bob"], "agent_id": ["bot"], "session_id": name})
}

async fn contents(instance: &Instance, body: &Value) -> Vec<String> {
    let found = instance.post("/v1/memories/search?shape=list", body).await.ok();
    let mut contents: Vec<String> =
        found.as_array().unwrap().iter().map(|hit| hit["content"].as_str().unwrap().to_owned()).collect();
    contents.sort();
    contents
}

#[tokio::test]
async fn the_list_is_in_order_of_relevance_and_across_sessions() {
    let instance = tea().await;
    let body = json!({"session": session("monday"), "query": "tea on tuesday", "limit": 3});
    let found = instance.post("/v1/memories/search", &body).await.ok();
    let hits = found.as_array().unwrap();
    assert_eq!(hits.len(), 3);
    assert_eq!(hits[0]["content"], "tea on tuesday");
    assert!(hits.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()));
    for field in
        ["uuid", "episode_type", "content_type", "timestamp", "group_id", "session_id", "producer_id"]
    {
        assert!(hits[0][field].is_string(), "{field}");
    }
    assert!(hits[0].get("explain").is_none());
}

#[tokio::test]
async fn every_hit_can_say_why_it_is_there() {
    let instance = tea().await;
    let asked = json!({"session": session("monday"), "query": "green tea"});
    let explained = json!({"session": session("monday"), "query": "green tea", "explain": true});
    for (path, body) in [("/v1/memories/search?explain=true", &asked), ("/v1/memories/search", &explained)] {
        let found = instance.post(path, body).await.ok();
        assert!(found[0]["explain"].is_object(), "{found}");
    }
    let episodic = json!({"session": session("tuesday"), "query": "green tea", "explain": true});
    let found = instance.post("/v1/memories/episodic/search", &episodic).await.ok();
    let long_term = &found["content"]["episodic_memory"][1];
    assert!(long_term[0]["explain"].is_object() && long_term[0]["score"].is_number(), "{found}");
}

#[tokio::test]
async fn the_object_has_the_newest_of_the_session_and_the_other_hits_by_time() {
    let instance = tea().await;
    let body = json!({"session": session("monday"), "query": "tea", "limit": 2, "filter": null});
    let found = instance.post("/v1/memories/search", &body).await.ok();
    assert_eq!(found["status"], 0);
    assert_eq!(found["content"]["profile_memory"], json!([]));
    let [newest, hits, summaries] = found["content"]["episodic_memory"].as_array().unwrap().as_slice() else {
        panic!("{found}")
    };
    assert_eq!(*summaries, json!([""]));
    let words: Vec<&Value> = newest.as_array().unwrap().iter().map(|e| &e["content"]).collect();
    assert_eq!(words, ["no coffee", "tea tea tea"]);
    assert_eq!(newest[1]["timestamp"], "2024-01-05T08:00:00.000000");
    let hits = hits.as_array().unwrap();
    assert!(hits.len() <= 2);
    assert!(hits.iter().all(|hit| hit["content"] != "tea tea tea" && hit.get("score").is_none()));
    let all = json!({"session": session("tuesday"), "query": "tea", "filter": null});
    let found = instance.post("/v1/memories/search", &all).await.ok();
    let times: Vec<&str> = found["content"]["episodic_memory"][1]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["timestamp"].as_str().unwrap())
        .collect();
    assert!(times.len() >= 4 && times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn an_empty_memory_answers_both_shapes() {
    let instance = Instance::open().await;
    let list = json!({"session": {}, "query": "anything"});
    assert_eq!(instance.post("/v1/memories/search", &list).await.ok(), json!([]));
    let object = json!({"query": "anything"});
    let nothing = json!({"status": 0, "content": {"episodic_memory": [[], [], [""]], "profile_memory": []}});
    assert_eq!(instance.post("/v1/memories/search", &object).await.ok(), nothing);
    let episodic = json!({"status": 0, "content": {"episodic_memory": [[], [], [""]]}});
    assert_eq!(instance.post("/v1/memories/episodic/search", &list).await.ok(), episodic);
    let profile = json!({"status": 0, "content": {"profile_memory": []}});
    assert_eq!(instance.post("/v1/memories/profile/search", &list).await.ok(), profile);
    assert_eq!(
        instance.get("/v1/sessions").await.ok(),
        json!({"sessions": []}),
        "searching makes no session"
    );
}

#[tokio::test]
async fn the_request_decides_the_shape_of_the_answer() {
    let instance = tea().await;
    let plan = json!({"session": session("monday"), "query": "tea"});
    let filtered = json!({"session": session("monday"), "query": "tea", "filter": {}});
    let bare = json!({"query": "tea"});
    let null = json!({"session": null, "query": "tea"});
    for (path, headers, body, is_list) in [
        ("/v1/memories/search", [].as_slice(), &plan, true),
        ("/v1/memories/search", &[("user-agent", "python-requests/2.32")], &plan, true),
        ("/v1/memories/search", &[], &filtered, false),
        ("/v1/memories/search", &[], &bare, false),
        ("/v1/memories/search", &[], &null, false),
        ("/v1/memories/search", &[("user-id", "ann")], &plan, false),
        ("/v1/memories/search", &[("group_id", "cafe")], &plan, false),
        ("/v1/memories/search", &[("user-agent", "MemMachineClient/0.1.10")], &plan, false),
        ("/v1/memories/search?shape=list", &[("user-id", "ann")], &filtered, true),
        ("/v1/memories/search?shape=memmachine", &[], &plan, false),
        ("/memmachine/v1/memories/search", &[], &plan, false),
        ("/memmachine/v1/memories/search?shape=list", &[], &plan, false),
    ] {
        let found = instance.send("POST", path, headers, body.to_string()).await;
        assert_eq!(found.ok().is_array(), is_list, "{path} {headers:?} {body}");
        assert!(found.headers.contains_key("group-id"));
    }
    assert_eq!(instance.post("/v1/memories/search?shape=round", &plan).await.code(422), "unknown_shape");
}

#[tokio::test]
async fn filters_by_equality() {
    let instance = tea().await;
    let all = ["black tea", "green tea", "no coffee", "tea on tuesday", "tea tea tea", "tea with milk"];
    let monday = ["black tea", "green tea", "no coffee", "tea tea tea", "tea with milk"];
    for (filter, expected) in [
        (json!(null), all.as_slice()),
        (json!({}), &all),
        (json!({"group_id": "elsewhere"}), &all),
        (json!({"session_id": "monday"}), &monday),
        (json!({"producer_id": "bob"}), &["tea on tuesday"]),
        (json!({"produced_for_id": "bot"}), &monday),
        (json!({"episode_type": "note"}), &["green tea"]),
        (json!({"metadata.cup": 2}), &["tea with milk"]),
        (json!({"m.hot": false}), &["black tea", "no coffee"]),
        (json!({"user_metadata.kind": "no coffee"}), &["no coffee"]),
        (json!({"session_id": "monday", "metadata.cup": 1.0}), &["black tea"]),
        (json!({"metadata.unknown": "x"}), &[]),
        (json!({"producer_id": "BOB"}), &[]),
    ] {
        let body =
            json!({"session": session("monday"), "query": "tea or coffee", "limit": 50, "filter": filter});
        let found = contents(&instance, &body).await;
        // Without a filter an index may leave out what shares nothing with the question.
        if filter.as_object().is_some_and(|map| !map.is_empty()) || !found.is_empty() {
            assert!(found.iter().all(|content| expected.contains(&content.as_str())), "{filter}: {found:?}");
        }
        assert_eq!(found.len(), expected.len(), "{filter}: {found:?}");
    }
}

#[tokio::test]
async fn groups_never_see_each_other() {
    let instance = tea().await;
    for filter in [json!(null), json!({"group_id": "cafe"}), json!({"session_id": "monday"})] {
        let body = json!({"session": {"group_id": "bar"}, "query": "tea", "filter": filter});
        assert!(contents(&instance, &body).await.is_empty());
    }
}

#[tokio::test]
async fn metrics_count_and_time_operations() {
    let instance = tea().await;
    instance.post("/v1/memories/search", &json!({"session": session("monday"), "query": "tea"})).await.ok();
    instance.get("/v1/users/ann/sessions").await.ok();
    instance.get("/no/such/route").await;
    let metrics = instance.get("/metrics").await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    for line in [
        r#"http_requests_total{method="POST",path="/v1/memories",status="200"} 6"#,
        r#"http_requests_total{method="GET",path="/v1/users/{id}/sessions",status="200"} 1"#,
        r#"http_requests_total{method="GET",path="unknown",status="404"} 1"#,
        r#"http_request_duration_seconds_count{method="POST",path="/v1/memories/search",status="200"} 1"#,
        "Ingestion_count_total 6",
        "Ingestion_latency_count 6",
        "# TYPE Ingestion_latency summary",
        "query_count_total 1",
        "query_latency_count 1",
        "memcloud_search_embedding_seconds_count 1",
        "memcloud_search_ranking_seconds_count 1",
    ] {
        assert!(metrics.text.lines().any(|found| found == line), "{line} is not in\n{}", metrics.text);
    }
}

#[tokio::test]
async fn a_filter_tells_64_bit_integers_apart() {
    let instance = Instance::open().await;
    let customers = [1_234_567_890_123_456_788_i64, 1_234_567_890_123_456_789];
    for customer in customers {
        let message = json!({
            "session": session("monday"), "producer": "ann", "produced_for": "bot",
            "episode_content": format!("the order of {customer}"), "episode_type": "message",
            "metadata": {"customer": customer},
        });
        instance.post("/v1/memories", &message).await.ok();
    }
    for customer in customers {
        let search =
            json!({"session": session("monday"), "query": "order", "filter": {"m.customer": customer}});
        let found = instance.post("/v1/memories/search?shape=list", &search).await.ok();
        let contents: Vec<&Value> = found.as_array().unwrap().iter().map(|hit| &hit["content"]).collect();
        assert_eq!(contents, [&json!(format!("the order of {customer}"))], "{found}");
    }
}

#[tokio::test]
async fn fields_that_a_search_does_not_understand_are_named() {
    let instance = Instance::open().await;
    let body =
        json!({"session": {"group_id": "g", "grup": 1}, "query": "tea", "limt": 3, "filtr": {"a": "\u{1b}"}});
    for path in [
        "/v1/memories/search",
        "/v1/memories/search?shape=memmachine",
        "/v1/memories/episodic/search",
        "/v1/memories/profile/search",
    ] {
        let answer = instance.post(path, &body).await;
        answer.ok();
        let named = &answer.headers["x-memcloud-unknown-fields"];
        assert_eq!(named, "body.session.grup, body.limt, body.filtr", "{path}");
    }
    let answer = instance.post("/v1/memories/search?explian=1&shape=list&a%0Ab=1", &body).await;
    let lines: Vec<_> = answer.headers.get_all("x-memcloud-unknown-fields").iter().collect();
    assert_eq!(lines, ["body.session.grup, body.limt, body.filtr", "query.explian, query.a\\nb"]);
    let understood = json!({"session": {"group_id": "g"}, "query": "tea", "limit": 3});
    let answer = instance.post("/v1/memories/search", &understood).await;
    assert!(!answer.headers.contains_key("x-memcloud-unknown-fields"));
    for path in
        ["/v1/memories", "/v1/sessions", "/v1/groups/g/sessions", "/memmachine/v1/memories", "/v1/spaces"]
    {
        let answer = instance.get(&format!("{path}?group=g&limit=1&limt=2")).await;
        answer.ok();
        assert_eq!(answer.headers["x-memcloud-unknown-fields"], "query.group, query.limt", "{path}");
        let answer = instance.get(&format!("{path}?limit=1")).await;
        assert!(!answer.headers.contains_key("x-memcloud-unknown-fields"), "{path}");
    }
    let said =
        json!({"episode_content": "tea", "produccer": "ann", "session": {"grup": 1}, "metadata": {"own": 1}});
    for (path, body, fields) in [
        ("/v1/memories", said.clone(), "body.produccer, body.session.grup"),
        ("/v1/memories/episodic", said.clone(), "body.produccer, body.session.grup"),
        ("/memmachine/v1/memories", said.clone(), "body.produccer, body.session.grup"),
        (
            "/v1/memories/batch",
            json!({"episodes": [said], "sesion": 1}),
            "body.episodes.0.produccer, body.episodes.0.session.grup, body.sesion",
        ),
    ] {
        let answer = instance.post(path, &body).await;
        answer.ok();
        assert_eq!(answer.headers["x-memcloud-unknown-fields"], fields, "{path}");
    }
    let odd = json!({"query": "tea", "a\nb: \u{202e}é": 1});
    let answer = instance.post("/v1/memories/search", &odd).await;
    assert_eq!(answer.headers["x-memcloud-unknown-fields"].as_bytes(), "body.a\\nb: \\u{202e}é".as_bytes());
}
