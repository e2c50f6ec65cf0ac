//! A disk without room: a file system in memory of a few hundred kilobytes, in a mount namespace of its own.

use std::process::Command;

use serde_json::{Value, json};

use crate::home::{Home, Server, finish, http};

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

#[test]
fn a_full_disk_at_the_start_is_reported_and_the_data_stays() {
    let home = Home::new();
    let mut server = home.serve();
    home.run(&["add", "keep me", "--url", &server.url]).ok();
    server.signal("TERM");
    server.ended();
    let script = format!(
        "cp -r '{}' \"$DISK/data\" && (cd \"$DISK/data\" && sha256sum *) && (head -c 9M /dev/zero >\"$DISK/fill\" || true)
         \"$MEMCLOUD\" serve --offline --listen 127.0.0.1:0 --data-dir \"$DISK/data\"; code=$?
         (cd \"$DISK/data\" && sha256sum *); exit $code",
        home.data().display()
    );
    let ran = finish(&mut on_small_disk(&home, 1_024, &script)).failed(1);
    assert!(ran.stderr.contains("full") && ran.stderr.contains("free space"), "{ran:?}");
    let hashes: Vec<&str> = ran.stdout.lines().collect();
    let (before, after) = hashes.split_at(hashes.len() / 2);
    assert!(!before.is_empty() && before == after, "{ran:?}");
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
}
