//! Answers are bounded by their bytes, and say so.

use crate::test_instance::{Answer, Instance};
use serde_json::{Value, json};

const STORE: &str = "/v1/memories";

fn ids(page: &Value) -> Vec<String> {
    page["episodes"].as_array().unwrap().iter().map(|episode| episode["id"].to_string()).collect()
}

async fn with_large_messages(count: usize) -> Instance {
    let instance = Instance::open().await;
    for n in 0..count {
        let content = format!("tea number {n} {}", "x".repeat(1_000_000));
        instance.post(STORE, &json!({"session": {"group_id": "g"}, "episode_content": content})).await.ok();
    }
    instance
}

#[tokio::test]
async fn a_page_of_large_messages_ends_early_and_the_next_ones_have_the_rest() {
    let instance = with_large_messages(20).await;
    let (mut seen, mut cursor, mut pages) = (vec![], String::new(), 0);
    loop {
        let page = instance.get(&format!("/v1/memories?group_id=g{cursor}")).await.ok();
        assert!(page.to_string().len() < 10 << 20);
        seen.extend(ids(&page));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.dedup();
    assert_eq!((seen.len(), pages), (20, 3));
}

#[tokio::test]
async fn a_search_says_when_its_last_hits_are_left_out() {
    let instance = with_large_messages(12).await;
    let search = |limit: usize, shape: &str| {
        let body = json!({"session": {"group_id": "g"}, "query": "tea number", "limit": limit});
        let path = format!("/v1/memories/search?shape={shape}");
        let instance = &instance;
        async move { instance.post(&path, &body).await }
    };
    let is_cut = |answer: &Answer| answer.headers.get("results-cut").is_some_and(|cut| cut == "true");
    for shape in ["list", "memmachine"] {
        let (few, many) = (search(3, shape).await, search(12, shape).await);
        assert!(few.status == 200 && !is_cut(&few), "{shape}");
        assert!(many.status == 200 && is_cut(&many) && many.text.len() < 12 << 20, "{shape}");
    }
}

#[tokio::test]
async fn sessions_are_listed_in_pages() {
    let instance = Instance::open().await;
    let store = |n: usize| {
        let session = json!({"group_id": "g", "session_id": format!("s{n}"), "user_id": ["ann"]});
        json!({"session": session, "episode_content": "tea"})
    };
    let episodes: Vec<Value> = (0..1_000).map(store).collect();
    instance.post("/v1/memories/batch", &json!({ "episodes": episodes })).await.ok();
    let all = instance.get("/v1/sessions").await.ok();
    assert_eq!(all["sessions"].as_array().unwrap().len(), 1_000);
    assert_eq!(all.get("next_cursor"), None, "a list that is whole has MemMachine's shape");
    instance.post(STORE, &store(1_000)).await.ok();
    let first = instance.get("/v1/sessions").await.ok();
    let next = first["next_cursor"].as_str().unwrap();
    let last = instance.get(&format!("/v1/sessions?cursor={next}")).await.ok();
    assert_eq!(last["sessions"][0]["session_id"], "s1000");
    assert_eq!(last.get("next_cursor"), None);
    for of in ["/v1/users/ann", "/v1/groups/g"] {
        let mut names = vec![];
        let mut cursor = String::new();
        loop {
            let page = instance.get(&format!("{of}/sessions?limit=400{cursor}")).await.ok();
            let sessions = page["sessions"].as_array().unwrap();
            names.extend(sessions.iter().map(|session| session["session_id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(names, (0..1_001).map(|n| format!("s{n}")).collect::<Vec<_>>(), "{of}");
    }
    assert_eq!(instance.get("/v1/sessions?limit=0").await.code(422), "limit_out_of_range");
    assert_eq!(instance.get("/v1/sessions?cursor=x").await.code(422), "invalid_cursor");
}

#[tokio::test]
async fn the_members_of_a_large_session_are_not_listed_to_a_non_member() {
    let instance = Instance::open().await;
    for hundreds in 0..12 {
        let users: Vec<String> = (0..100).map(|n| format!("member-{hundreds:02}{n:02}")).collect();
        let session = json!({"group_id": "g", "session_id": "s", "user_id": users});
        let message = json!({"session": session, "producer": users[0], "episode_content": "tea"});
        instance.post(STORE, &message).await.ok();
    }
    let session = json!({"group_id": "g", "session_id": "s", "agent_id": ["bot"]});
    let message =
        |producer: &str| json!({"session": session, "producer": producer, "episode_content": "tea"});
    instance.post(STORE, &message("member-0742")).await.ok();
    let refused = instance.post(STORE, &message("stranger")).await;
    assert_eq!(refused.code(400), "not_a_member");
    assert!(
        refused.text.contains("either stranger or  is not in") && refused.text.len() < 500,
        "{}",
        refused.text
    );
    let listed = instance.get("/v1/sessions").await.ok();
    let session = &listed["sessions"][0];
    assert_eq!(session["more_members"], true);
    assert_eq!(session["user_ids"].as_array().unwrap().len(), 1_000);
}
