//! A disk without room: a file system in memory of a few hundred kilobytes, in a mount namespace of its own.

use std::process::Command;

use serde_json::{Value, json};

use crate::answers::http;
use crate::home::{Home, Server, finish};

/// Runs a script in which `$DISK` is a small file system and `$MEMCLOUD` the binary.
fn on_small_disk(home: &Home, kilobytes: usize, script: &str) -> Command {
    let disk = home.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut command = home.program("unshare".as_ref());
    let mount = format!("mount -t tmpfs -o size={kilobytes}k none \"$DISK\" && {script}");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
        .env("DISK", disk)
        .env("MEMCLOUD", env!("CARGO_BIN_EXE_memcloud"));
    command
}

/// Fills what is left of the disk. A file that exists is overwritten first.
const FILL: &str = "(head -c 99M /dev/zero >\"$DISK/fill\" || true)";
const SERVE: &str = "exec \"$MEMCLOUD\" serve --offline --listen 127.0.0.1:0 --data-dir \"$DISK/data\"";

/// What a server on a full disk does for a message with this id.
async fn serves_reads_only(server: &Server, id: &str) {
    let (http, url) = (http(), &server.url);
    let page: Value =
        http.get(format!("{url}/v1/memories?group_id=default")).send().await.unwrap().json().await.unwrap();
    assert_eq!(page["episodes"][0]["id"], id, "{page}");
    let body = json!({"session": {"group_id": "default", "session_id": "default"}, "query": "keep me"});
    let found = http.post(format!("{url}/v1/memories/search")).json(&body).send().await.unwrap();
    let found: Value = found.json().await.unwrap();
    assert_eq!(format!("episode-{}", found[0]["uuid"].as_str().unwrap()), id, "{found}");
    let body = json!({"episode_content": "one more ".repeat(20_000)});
    let stored = http.post(format!("{url}/v1/memories")).json(&body).send().await.unwrap();
    assert_eq!(stored.status(), 507);
    let ready = http.get(format!("{url}/health/ready")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(ready["code"], "storage_full", "{ready}");
}

#[tokio::test]
async fn a_start_on_a_full_disk_serves_reads_with_and_without_a_reserve() {
    let home = Home::new();
    let mut server = home.serve();
    let id = home.run(&["add", "keep me", "--json", "--url", &server.url]).ok().json()["id"].clone();
    server.signal("TERM");
    server.ended();
    let copy = format!("cp -r --sparse=never '{}' \"$DISK/data\"", home.data().display());
    let mut with = Server::start(&mut on_small_disk(&home, 16_384, &format!("{copy} && {FILL} && {SERVE}")));
    serves_reads_only(&with, id.as_str().unwrap()).await;
    let ran = home.run(&["forget", id.as_str().unwrap(), "--url", &with.url]);
    assert_eq!(ran.code, 0, "{ran:?}");
    with.signal("TERM");
    with.ended();
    std::fs::remove_dir(home.path("disk")).unwrap();
    let none = "rm -f \"$DISK/data\"/*-reserve \"$DISK/data\"/*-shm";
    let script = format!("{copy} && {none} && {FILL} && {SERVE}");
    serves_reads_only(&Server::start(&mut on_small_disk(&home, 16_384, &script)), id.as_str().unwrap()).await;
}

#[test]
fn a_backup_that_does_not_fit_says_so() {
    let home = Home::new();
    drop(home.serve());
    let script = format!("{FILL} && exec \"$MEMCLOUD\" backup --to \"$DISK/copy\"");
    let ran = finish(&mut on_small_disk(&home, 256, &script)).failed(1);
    assert!(ran.stderr.contains("there is no room for ") && ran.stderr.contains("--to"), "{ran:?}");
}

#[tokio::test]
async fn on_a_full_disk_people_can_delete_and_then_store_again() {
    let home = Home::new();
    let server = Server::start(&mut on_small_disk(&home, 24 << 10, SERVE));
    let (http, url) = (http(), server.url.clone());
    let store = async |content: String| {
        let session = json!({"group_id": "g", "session_id": "s", "user_id": ["ann"], "agent_id": []});
        let body = json!({"session": session, "producer": "ann", "episode_content": content});
        http.post(format!("{url}/v1/memories")).json(&body).send().await.unwrap()
    };
    let mut ids = Vec::new();
    loop {
        let answer = store(format!("memory number {}: {}", ids.len(), "and so on ".repeat(2_000))).await;
        if answer.status() == 507 {
            break;
        }
        let answer: Value = answer.json().await.unwrap();
        ids.push(answer["id"].as_str().unwrap().to_owned());
    }
    for id in &ids[..3] {
        let deleted = http.delete(format!("{url}/v1/memories/{id}?group_id=g")).send().await.unwrap();
        assert!(deleted.status().is_success(), "{}", deleted.text().await.unwrap());
    }
    let body = json!({"session": {"group_id": "g", "session_id": "s", "user_id": ["ann"], "agent_id": []}});
    let deleted = http.delete(format!("{url}/v1/memories")).json(&body).send().await.unwrap();
    assert_eq!(deleted.status(), 200, "{}", deleted.text().await.unwrap());
    let page = http.get(format!("{url}/v1/memories?group_id=g")).send().await.unwrap();
    assert!(page.json::<Value>().await.unwrap()["episodes"].as_array().unwrap().is_empty());
    for n in 0..ids.len() / 2 {
        let stored = store(format!("after the deletion {n}: {}", "and so on ".repeat(2_000))).await;
        assert_eq!(stored.status(), 200, "{}", stored.text().await.unwrap());
    }
    let ready = http.get(format!("{url}/health/ready")).send().await.unwrap();
    assert_eq!(ready.status(), 200, "{}", ready.text().await.unwrap());
}

/// The database cannot grow, so what is stored takes the pages of what was deleted.
#[tokio::test]
async fn on_a_disk_that_another_file_fills_stores_take_the_place_of_what_was_deleted() {
    let home = Home::new();
    let mut server = home.serve();
    let http = http();
    let store = async |url: &str, n: usize| {
        let session = json!({"group_id": "g", "session_id": if n.is_multiple_of(2) { "s" } else { "t" }});
        let content = format!("memory number {n}: {}", "and so on ".repeat(1_000));
        let body = json!({"session": session, "episode_content": content});
        http.post(format!("{url}/v1/memories")).json(&body).send().await.unwrap().status()
    };
    for n in 0..300 {
        assert_eq!(store(&server.url, n).await, 200);
    }
    server.signal("TERM");
    server.ended();
    let copy = format!("cp -r --sparse=never '{}' \"$DISK/data\"", home.data().display());
    let server = Server::start(&mut on_small_disk(&home, 16_384, &format!("{copy} && {FILL} && {SERVE}")));
    assert_eq!(store(&server.url, 0).await, 507, "nothing was deleted yet");
    let body = json!({"group_id": "g", "session_id": "s"});
    let deleted = http.delete(format!("{}/v1/sessions", server.url)).json(&body).send().await.unwrap();
    assert_eq!(deleted.status(), 200, "{}", deleted.text().await.unwrap());
    for n in 0..100 {
        assert_eq!(store(&server.url, n).await, 200, "after {n} stores");
    }
    let body = json!({"group_id": "g", "session_id": "t"});
    let deleted = http.delete(format!("{}/v1/sessions", server.url)).json(&body).send().await.unwrap();
    assert_eq!(deleted.status(), 200, "{}", deleted.text().await.unwrap());
}

/// Each deletion on the full disk makes room, so that the disk can be filled again.
#[tokio::test]
async fn on_a_full_disk_sessions_users_and_spaces_can_be_deleted() {
    let home = Home::new();
    let server = Server::start(&mut on_small_disk(&home, 24 << 10, SERVE));
    let (http, url) = (http(), server.url.clone());
    let session = json!({"group_id": "g", "session_id": "s", "user_id": ["ann"], "agent_id": []});
    let content = "and so on ".repeat(10_000);
    let message = json!({"session": session, "producer": "ann", "episode_content": content});
    for (path, body) in [
        ("/v1/sessions", json!({"group_id": "g", "session_id": "s"})),
        ("/v1/users", json!({"group_id": "g", "user_id": "ann"})),
        ("/v1/spaces/universal/g", Value::Null),
    ] {
        let mut stored = 0;
        while http.post(format!("{url}/v1/memories")).json(&message).send().await.unwrap().status() == 200 {
            stored += 1;
        }
        assert!(stored > 20, "{stored} before {path}");
        let request = http.delete(format!("{url}{path}"));
        let request = if body.is_null() { request } else { request.json(&body) };
        let deleted = request.send().await.unwrap();
        assert!(deleted.status().is_success(), "{path}: {}", deleted.text().await.unwrap());
        let page = http.get(format!("{url}/v1/memories?group_id=g")).send().await.unwrap();
        assert!(page.json::<Value>().await.unwrap()["episodes"].as_array().unwrap().is_empty());
    }
    let space = format!("{url}/v1/spaces/universal/g");
    let gone = async {
        while http.get(&space).send().await.unwrap().status() != 404 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), gone).await.unwrap();
    let again = http.post(format!("{url}/v1/memories")).json(&message).send().await.unwrap();
    assert_eq!(again.status(), 200, "{}", again.text().await.unwrap());
}

#[tokio::test]
async fn a_disk_that_fills_up_refuses_stores_and_keeps_what_it_has() {
    let home = Home::new();
    let script = "exec \"$MEMCLOUD\" serve --offline --listen 127.0.0.1:0 --data-dir \"$DISK/data\"";
    let server = Server::start(&mut on_small_disk(&home, 1_024, script));
    let http = http();
    let mut answered = Vec::new();
    let refusal = loop {
        let n = answered.len();
        let content = format!("memory number {n}: {}", "and so on ".repeat(2_000));
        let body = json!({"session": {"group_id": "g", "session_id": "s"}, "episode_content": content});
        let response = http.post(format!("{}/v1/memories", server.url)).json(&body).send().await.unwrap();
        if response.status() != 200 {
            break response;
        }
        let answer: Value = response.json().await.unwrap();
        answered.push(answer["id"].as_str().unwrap().to_owned());
        assert!(n < 1_000, "a megabyte holds no twenty");
    };
    assert!(!answered.is_empty());
    assert_eq!(refusal.status(), 507);
    let refusal: Value = refusal.json().await.unwrap();
    assert_eq!(refusal["code"], "storage_full", "{refusal}");
    let page = format!("{}/v1/memories?group_id=g&limit=1000", server.url);
    let page: Value = http.get(page).send().await.unwrap().json().await.unwrap();
    let kept: Vec<&str> =
        page["episodes"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert_eq!(kept, answered);
    let body =
        json!({"session": {"group_id": "g", "session_id": "s"}, "query": "memory number 0", "limit": 1});
    let found = http.post(format!("{}/v1/memories/search", server.url)).json(&body).send().await.unwrap();
    assert_eq!(found.status(), 200);
    let ready = http.get(format!("{}/health/ready", server.url)).send().await.unwrap();
    assert_eq!(ready.status(), 503, "it says that it cannot store");
    for n in 0..100 {
        let body = json!({"episode_content": format!("refused {n}: {}", "and so on ".repeat(2_000))});
        let refused = http.post(format!("{}/v1/memories", server.url)).json(&body).send().await.unwrap();
        assert_eq!(refused.status(), 507);
    }
    // Some ten seconds each may pass on a slow machine: far fewer lines than refusals, and none is missing from them.
    let log = server.whole_log();
    let lines = log
        .lines()
        .filter(|line| line.contains("the memory is unavailable") && line.contains("storage_full"));
    let counted = lines.map(|line| {
        let (_, count) = line.split_once("refused=").unwrap();
        count.split_whitespace().next().unwrap().parse::<usize>().unwrap()
    });
    let counted: Vec<usize> = counted.collect();
    assert!(counted.len() < 20 && counted.iter().sum::<usize>() >= 101, "{counted:?}");
}
