//! A database with a damaged page, a copy of a running server, and weights that are not what they were.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use memcloud_store_sqlite::FILE;
use serde_json::{Value, json};

use crate::answers::http;
use crate::home::{Home, PATIENCE, Server, finish};

const PAGE: usize = 4_096;

async fn store(url: &str, content: &str) -> Option<String> {
    let session = json!({"group_id": "g", "session_id": "s", "user_id": ["ann"], "agent_id": []});
    let body = json!({"session": session, "producer": "ann", "episode_content": content});
    let answer = http().post(format!("{url}/v1/memories")).json(&body).send().await.ok()?;
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.ok()?["id"].as_str().map(str::to_owned)
}

async fn listed(url: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = format!("{url}/v1/memories?group_id=g&limit=1000{cursor}");
        let page = http().get(page).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let page: Value = page.json().await.unwrap();
        ids.extend(page["episodes"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

async fn search(url: &str, query: &str) -> Vec<String> {
    let body = json!({"session": {"group_id": "g", "session_id": "s"}, "query": query, "limit": 10});
    let found = http().post(format!("{url}/v1/memories/search")).json(&body).send().await.unwrap();
    assert_eq!(found.status(), 200, "{}", found.text().await.unwrap());
    let found: Value = found.json().await.unwrap();
    found.as_array().unwrap().iter().map(|hit| hit["content"].as_str().unwrap().to_owned()).collect()
}

async fn readiness(url: &str) -> Value {
    http().get(format!("{url}/health/ready")).send().await.unwrap().json().await.unwrap()
}

fn content(n: usize) -> String {
    format!("word{n} was said as number {n}{}", " and so on".repeat(n % 90))
}

/// The page of the file that has these words.
fn page_with(bytes: &[u8], words: &str) -> usize {
    bytes.windows(words.len()).position(|window| window == words.as_bytes()).unwrap() / PAGE
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_loses_only_its_own_rows_and_is_reported() {
    let home = Home::new();
    let mut server = home.serve();
    let mut ids = Vec::new();
    for n in 0..300 {
        ids.push(store(&server.url, &content(n)).await.unwrap());
    }
    server.signal("TERM");
    server.ended();
    let file = home.data().join(FILE);
    let intact = std::fs::read(&file).unwrap();
    let damaged = page_with(&intact, "word150 was said");
    let mut bytes = intact.clone();
    for (n, byte) in bytes[damaged * PAGE..][..PAGE].iter_mut().enumerate() {
        *byte = (n.wrapping_mul(2_654_435_761) >> 7) as u8;
    }
    std::fs::write(&file, &bytes).unwrap();
    let server = home.serve();
    let hits = search(&server.url, "word10").await;
    assert_eq!(hits[0], content(10));
    assert!(search(&server.url, "word150").await.iter().all(|hit| *hit != content(150)));
    let left = listed(&server.url).await;
    assert!(left.len() < 300 && left.len() >= 280, "{} of 300 are left", left.len());
    assert!(left.iter().all(|id| ids.contains(id)));
    let ready = readiness(&server.url).await;
    assert_eq!(ready["code"], "storage_damaged", "{ready}");
    assert!(ready["detail"].as_str().unwrap().contains("cannot be read"), "{ready}");
    store(&server.url, "stored nevertheless").await.unwrap();
    let lost = &ids[150];
    for doctor in [&["doctor", "--url", &server.url][..], &["doctor"]] {
        let ran = home.run(doctor);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains("failed database") && ran.stdout.contains(lost.as_str()), "{ran:?}");
    }
    let backup = home.run(&["backup", "--to", home.path("copy").to_str().unwrap()]).failed(1);
    assert!(backup.stderr.contains("damaged") && !home.path("copy").exists(), "{backup:?}");
    drop(server);
    let export = home.run(&["export", "--to", home.path("salvaged").to_str().unwrap()]).failed(1);
    for said in ["of 301 memories could be read", "memories cannot be read (rows ", "memcloud doctor"] {
        assert!(export.stderr.contains(said), "{export:?}");
    }
    assert!(export.stdout.contains("of what could be read agree on both sides"), "{export:?}");
    let doctor =
        home.run(&["doctor", "--json", "--data-dir", home.path("salvaged").to_str().unwrap()]).json();
    let database =
        doctor["parts"].as_array().unwrap().iter().find(|part| part["part"] == "database").unwrap();
    assert_eq!(database["state"], "ok", "{database}");
}

/// A directory with some messages, of which a few are deleted, whose server has stopped.
async fn stopped(home: &Home, messages: usize) {
    let mut server = home.serve();
    for n in 0..messages {
        store(&server.url, &content(n)).await.unwrap();
    }
    for id in &listed(&server.url).await[..3] {
        home.run(&["forget", id, "--group", "g", "--yes", "--url", &server.url]).ok();
    }
    server.signal("TERM");
    server.ended();
}

/// Where the root page of a table begins in the file.
fn root_page(file: &Path, table: &str) -> usize {
    let database = rusqlite::Connection::open(file).unwrap();
    let root: u32 = database
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
        .unwrap();
    (root as usize - 1) * PAGE
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_memory_whose_messages_are_lost_fails_and_says_how_many() {
    let home = Home::new();
    stopped(&home, 60).await;
    let file = home.data().join(FILE);
    let at = root_page(&file, "episodes");
    let intact = std::fs::read(&file).unwrap();
    // A page that is no page of a table, and one that is an empty table.
    for (n, beginning) in [[0xa5; 8], [13, 0, 0, 0, 0, 16, 0, 0]].into_iter().enumerate() {
        let mut bytes = intact.clone();
        bytes[at..][..PAGE].fill(0);
        bytes[at..][..beginning.len()].copy_from_slice(&beginning);
        std::fs::write(&file, &bytes).unwrap();
        let to = home.path(&format!("copy{n}")).display().to_string();
        let export = home.run(&["export", "--to", &to]).failed(1);
        assert!(export.stderr.contains("0 of 57 memories could be read"), "{export:?}");
        let from = home.data().display().to_string();
        let mut import = home.memcloud();
        import.args(["import", "--from", &from]).env("MEMCLOUD_DATA_DIR", home.path(&format!("into{n}")));
        let import = finish(&mut import).failed(1);
        assert!(import.stderr.contains("0 of 57 memories could be read"), "{import:?}");
        // The copy that was made is whole in itself, and another copy of it says so.
        let again = home.path(&format!("again{n}")).display().to_string();
        home.run(&["export", "--data-dir", &to, "--to", &again]).ok();
    }
}

/// Damages the root page of a table: overwrites it, or makes it the page of an empty table.
fn damage(file: &Path, table: &str, beginning: &[u8], rest: u8) {
    let at = root_page(file, table);
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at..][..PAGE].fill(rest);
    bytes[at..][..beginning.len()].copy_from_slice(beginning);
    std::fs::write(file, &bytes).unwrap();
}

/// Asks until it is ready, which it must be some time after a repair.
async fn becomes_ready(url: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let ready = readiness(url).await;
        if ready["status"] == "ready" {
            return;
        }
        assert!(Instant::now() < until, "{ready}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The refusal of a store while the database is damaged.
async fn refused_store(url: &str) {
    let body = json!({"session": {"group_id": "g", "session_id": "s", "user_id": ["ann"], "agent_id": []},
                      "producer": "ann", "episode_content": "refused"});
    let refused = http().post(format!("{url}/v1/memories")).json(&body).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["code"], "storage_damaged", "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("restore a backup"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_records_of_deletions_cost_no_search_and_no_message() {
    let home = Home::new();
    stopped(&home, 60).await;
    damage(&home.data().join(FILE), "deletions", &[], 0xa5);
    let server = home.serve();
    assert_eq!(search(&server.url, "word10").await[0], content(10));
    refused_store(&server.url).await;
    assert_eq!(readiness(&server.url).await["code"], "storage_damaged");
    drop(server);
    let copied = home.run(&["export", "--json", "--to", home.path("copy").to_str().unwrap()]);
    assert_eq!((copied.code, &copied.json()["memories"]), (1, &json!(57)), "{copied:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_damaged_table_starts_serves_and_copies_what_can_be_read() {
    for table in ["meta", "targets", "sessions", "members", "spaces"] {
        let home = Home::new();
        stopped(&home, 60).await;
        damage(&home.data().join(FILE), table, &[], 0xa5);
        let server = home.serve();
        assert_eq!(search(&server.url, "word10").await[0], content(10), "{table}");
        let left = listed(&server.url).await;
        assert_eq!(left.len(), 57, "{table}");
        if table == "members" {
            home.run(&["sessions", "list", "--url", &server.url]).ok();
        }
        let ready = readiness(&server.url).await;
        assert_eq!(ready["code"], "storage_damaged", "{table}: {ready}");
        refused_store(&server.url).await;
        if ["meta", "targets", "members"].contains(&table) {
            home.run(&["forget", &left[0], "--group", "g", "--yes", "--url", &server.url]).ok();
            assert_eq!(listed(&server.url).await.len(), 56, "{table}");
        }
        let doctor = home.run(&["doctor", "--url", &server.url]);
        assert!(doctor.code == 1 && doctor.stdout.contains("failed database"), "{table}: {doctor:?}");
        drop(server);
        let copy = home.path("copy").display().to_string();
        let export = home.run(&["export", "--to", &copy]).failed(1);
        assert!(export.stderr.contains("malformed"), "{table}: {export:?}");
        let copied = Server::start(home.memcloud().args([
            "serve",
            "--offline",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &copy,
        ]));
        assert!(listed(&copied.url).await.len() >= 56, "{table}");
        assert_eq!(readiness(&copied.url).await["status"], "ready", "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_page_of_names_is_no_empty_memory() {
    for table in ["spaces", "sessions"] {
        let home = Home::new();
        stopped(&home, 60).await;
        // The page of a table without rows.
        damage(&home.data().join(FILE), table, &[13, 0, 0, 0, 0, 16, 0, 0], 0);
        let server = home.serve();
        let ready = readiness(&server.url).await;
        assert_eq!(ready["code"], "storage_damaged", "{ready}");
        assert!(
            ready["detail"].as_str().unwrap().contains(&format!("the table '{table}': it has 0 rows")),
            "{ready}"
        );
        refused_store(&server.url).await;
        let doctor = home.run(&["doctor"]);
        let missing = format!("57 rows of 'episodes' belong to rows of '{table}' that are missing");
        assert!(doctor.code == 1 && doctor.stdout.contains(&missing), "{doctor:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_turns_green_when_damage_was_repaired_while_the_server_runs() {
    let home = Home::new();
    stopped(&home, 60).await;
    let file = home.data().join(FILE);
    let run = |sql: &str| rusqlite::Connection::open(&file).unwrap().execute(sql, []).unwrap();
    assert_eq!(run("UPDATE episodes SET metadata = 'no JSON' WHERE id = 20"), 1);
    let server = home.serve();
    listed(&server.url).await;
    let ready = readiness(&server.url).await;
    assert!(ready["detail"].as_str().unwrap().contains("rows 20"), "{ready}");
    store(&server.url, "a row costs itself").await.unwrap();
    run("UPDATE episodes SET metadata = '{}' WHERE id = 20");
    becomes_ready(&server.url).await;
    assert_eq!(listed(&server.url).await.len(), 58);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_costs_no_message_and_ends_stores() {
    let home = Home::new();
    stopped(&home, 60).await;
    damage(&home.data().join(FILE), "episodes_by_time", &[], 0xa5);
    let server = home.serve();
    assert_eq!(listed(&server.url).await.len(), 57);
    assert_eq!(readiness(&server.url).await["code"], "storage_damaged");
    refused_store(&server.url).await;
    drop(server);
    let export = home.run(&["export", "--to", home.path("copy").to_str().unwrap()]).failed(1);
    assert!(export.stdout.contains("57 memories in 1 groups"), "{export:?}");
}

#[test]
fn a_database_that_cannot_be_opened_has_the_hint_to_restore_a_backup() {
    let home = Home::new();
    drop(home.serve());
    let file = home.data().join(FILE);
    let intact = std::fs::read(&file).unwrap();
    // The first page, and one with a part of the list of tables.
    for page in [0, page_with(&intact, "CREATE INDEX episodes_by_time")] {
        let mut bytes = intact.clone();
        bytes[page * PAGE..][..PAGE].fill(0xa5);
        std::fs::write(&file, &bytes).unwrap();
        let mut serve = home.memcloud();
        serve.args(["serve", "--offline", "--listen", "127.0.0.1:0"]);
        let to = home.path("copy").display().to_string();
        let ran = [finish(&mut serve), home.run(&["export", "--to", &to])].map(|ran| ran.failed(1).stderr);
        for said in ran.into_iter().chain([home.run(&["doctor"]).stdout]) {
            assert!(said.contains("cannot be opened") && said.contains("restore a backup"), "{page}: {said}");
            assert!(!said.contains("memcloud doctor"), "{page}: {said}");
        }
    }
}

/// The number that follows these words.
fn number_after(text: &str, words: &str) -> usize {
    let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("{words:?} is not in {text}"));
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletions_go_past_a_damaged_page_and_say_how_many_are_left() {
    let home = Home::new();
    let mut server = home.serve();
    let mut ids = Vec::new();
    for n in 0..300 {
        ids.push(store(&server.url, &content(n)).await.unwrap());
    }
    server.signal("TERM");
    server.ended();
    let mut bytes = std::fs::read(home.data().join(FILE)).unwrap();
    let damaged = page_with(&bytes, "word150 was said");
    for (n, byte) in bytes[damaged * PAGE..][..PAGE].iter_mut().enumerate() {
        *byte = (n.wrapping_mul(2_654_435_761) >> 7) as u8;
    }
    for (path, body) in [
        ("sessions", json!({"group_id": "g", "session_id": "s"})),
        ("users", json!({"group_id": "g", "user_id": "ann"})),
        ("spaces/universal/g", Value::Null),
    ] {
        let home = Home::new();
        std::fs::create_dir_all(home.data()).unwrap();
        std::fs::write(home.data().join(FILE), &bytes).unwrap();
        let server = home.serve();
        for (id, status, code) in
            [(ids[150].as_str(), 500, "storage_damaged"), (&"0".repeat(32), 404, "not_found")]
        {
            let read =
                http().get(format!("{}/v1/memories/{id}?group_id=g", server.url)).send().await.unwrap();
            assert_eq!(read.status(), status, "{id}");
            assert_eq!(read.json::<Value>().await.unwrap()["code"], code);
        }
        let request = http().delete(format!("{}/v1/{path}", server.url));
        let deletion = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        if body.is_null() {
            assert_eq!(deletion.status(), 202);
            let database = rusqlite::Connection::open(home.data().join(FILE)).unwrap();
            let until = Instant::now() + PATIENCE;
            let left = "SELECT episodes FROM spaces WHERE deleting_project = 'g'";
            while database.query_row(left, [], |row| row.get::<_, u32>(0)).unwrap() > 30 {
                assert!(Instant::now() < until, "its messages are not deleted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        } else {
            assert_eq!(deletion.status(), 500, "{path}");
            let refusal: Value = deletion.json().await.unwrap();
            assert_eq!(refusal["code"], "storage_damaged", "{path}: {refusal}");
            let undeleted =
                number_after(refusal["detail"].as_str().unwrap(), "memories that cannot be deleted: ");
            let left = listed(&server.url).await.len();
            let ready = readiness(&server.url).await;
            let unreadable = number_after(ready["detail"].as_str().unwrap(), "the store is damaged: ");
            assert!(
                undeleted <= 30 && left + unreadable == undeleted,
                "{path}: {left} are left, {refusal}, {ready}"
            );
        }
        let session = json!({"group_id": "h", "session_id": "s"});
        let body = json!({"session": session, "episode_content": "stored nevertheless"});
        let stored = http().post(format!("{}/v1/memories", server.url)).json(&body).send().await.unwrap();
        assert_eq!(stored.status(), 200, "{path}: {}", stored.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_store_that_meets_a_damaged_index_is_refused_as_all_others() {
    for index in ["episodes_by_session", "sqlite_autoindex_episodes_1"] {
        let home = Home::new();
        stopped(&home, 10).await;
        damage(&home.data().join(FILE), index, &[], 0xa5);
        let server = home.serve();
        refused_store(&server.url).await;
        refused_store(&server.url).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_damaged_page_leaves_the_server_answering_or_refusing_to_start() {
    let home = Home::new();
    let mut server = home.serve();
    for n in 0..200 {
        store(&server.url, &content(n)).await.unwrap();
    }
    server.signal("TERM");
    server.ended();
    let file = home.data().join(FILE);
    let intact = std::fs::read(&file).unwrap();
    let pages = intact.len() / PAGE;
    for page in (20..pages).step_by(pages.div_ceil(8)) {
        let mut bytes = intact.clone();
        for (n, byte) in bytes[page * PAGE..][..PAGE].iter_mut().enumerate() {
            *byte = ((n + page).wrapping_mul(2_654_435_761) >> 9) as u8;
        }
        std::fs::write(&file, &bytes).unwrap();
        let server = home.serve();
        search(&server.url, "word10").await;
        let left = listed(&server.url).await.len();
        assert!(left >= 100, "page {page}: {left} of 200 are left");
        let ready = readiness(&server.url).await;
        assert!(left == 200 || ready["code"] == "storage_damaged", "page {page}: {ready}");
    }
}

#[tokio::test]
async fn an_instance_whose_keys_cannot_be_read_does_not_count_as_one_without_keys() {
    let home = Home::new();
    let mut server = home.serve();
    home.run(&["keys", "create", "root", "--right", "admin", "--url", &server.url]).ok();
    server.signal("TERM");
    server.ended();
    let database = rusqlite::Connection::open(home.data().join(FILE)).unwrap();
    database.execute("UPDATE api_keys SET rights = 'fly'", []).unwrap();
    drop(database);
    let server = home.serve();
    let refused = http().get(format!("{}/v1/memories?group_id=g", server.url)).send().await.unwrap();
    assert_eq!(refused.status(), 500);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "storage_damaged");
    let ready = readiness(&server.url).await;
    assert!(ready["detail"].as_str().unwrap().contains("1 API keys cannot be read"), "{ready}");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.stdout.contains("1 API keys cannot be read:"), "{doctor:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_all_that_was_answered_before() {
    let home = Home::new();
    let server = home.serve();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (url, stop) = (server.url.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    store(&url, &format!("writer{writer} said {n}")).await.unwrap();
                    n += 1;
                }
                n
            })
        })
        .collect();
    for round in 0..3 {
        let mut answered = Vec::new();
        for n in 0..5 {
            answered.push(store(&server.url, &format!("round {round} number {n}")).await.unwrap());
        }
        let restored = Home::new();
        std::fs::create_dir_all(restored.data()).unwrap();
        let to = restored.data().join(FILE);
        let ran = home.run(&["backup", "--json", "--to", restored.data().to_str().unwrap()]).ok().json();
        assert_eq!(ran["file"], to.to_str().unwrap());
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let again = home.run(&["backup", "--to", to.to_str().unwrap()]).failed(1);
        assert!(again.stderr.contains("there already"), "{again:?}");
        let copy = restored.serve();
        let kept = listed(&copy.url).await;
        assert!(answered.iter().all(|id| kept.contains(id)), "round {round}");
        assert_eq!(ran["memories"], kept.len());
        assert_eq!(readiness(&copy.url).await["status"], "ready");
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn a_start_without_the_log_of_a_killed_server_says_what_is_missing() {
    let home = Home::new();
    for n in 0..6 {
        // The first half is in the database when the server stops, the second in its log when it is killed.
        let mut server = home.serve();
        store(&server.url, &content(n)).await.unwrap();
        server.signal(if n < 3 { "TERM" } else { "KILL" });
        server.ended();
    }
    std::fs::write(home.data().join(format!("{FILE}-wal")), "").unwrap();
    let server = home.serve();
    let ready = readiness(&server.url).await;
    assert_eq!(ready["code"], "storage_incomplete", "{ready}");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.stdout.contains("that were answered are missing"), "{doctor:?}");
    let listed = home.run(&["list", "--group", "other", "--url", &server.url]).ok();
    assert!(listed.stderr.contains("that were answered are missing"), "{listed:?}");
    let backup = home.run(&["backup", "--to", home.path("copy").to_str().unwrap()]).failed(1);
    assert!(backup.stderr.contains("that were answered are missing"), "{backup:?}");
    assert!(home.path("copy").exists() && backup.stdout.contains(" memories, "), "{backup:?}");
}

/// What a killed server leaves that has answered three stores in a new data directory.
async fn killed_soon(home: &Home) {
    let mut server = home.serve();
    for n in 0..3 {
        store(&server.url, &content(n)).await.unwrap();
    }
    server.signal("KILL");
    server.ended();
}

#[tokio::test]
async fn a_new_memory_starts_without_its_log_and_every_start_says_what_is_missing() {
    for has_tables in [true, false] {
        let home = Home::new();
        killed_soon(&home).await;
        let database = home.data().join(FILE);
        std::fs::write(home.data().join(format!("{FILE}-wal")), "").unwrap();
        if !has_tables {
            // As earlier versions leave it: the tables were in the log, too.
            std::fs::remove_file(&database).unwrap();
            let empty = rusqlite::Connection::open(&database).unwrap();
            empty.pragma_update(None, "journal_mode", "wal").unwrap();
            drop(empty);
            let backup = home.run(&["backup", "--to", home.path("none").to_str().unwrap()]).failed(1);
            assert!(backup.stderr.contains("the database is empty"), "{backup:?}");
        }
        for round in 0..2 {
            let mut server = home.serve();
            store(&server.url, &content(round)).await.unwrap();
            assert_eq!(listed(&server.url).await.len(), round + 1);
            let ready = readiness(&server.url).await;
            let said = ready["detail"].as_str().unwrap();
            assert!(said.contains("writes that were answered are missing"), "{ready}");
            assert!(said.contains(": all ") && said.contains("to go on without them, remove "), "{ready}");
            server.signal("TERM");
            server.ended();
            assert!(server.logged.contains("writes that were answered are missing"), "{}", server.logged);
        }
        std::fs::remove_file(home.data().join(format!("{FILE}-missing"))).unwrap();
        assert_eq!(readiness(&home.serve().url).await["status"], "ready");
    }
}

#[tokio::test]
async fn a_database_that_is_missing_or_cut_is_named_with_the_way_out() {
    let home = Home::new();
    killed_soon(&home).await;
    let database = home.data().join(FILE);
    let log = home.data().join(format!("{FILE}-wal"));
    let (whole, log_bytes) = (std::fs::read(&database).unwrap(), log.metadata().unwrap().len());
    let copy = home.path("copy").display().to_string();
    for (left, said) in [
        (None, "the database is missing or empty".to_owned()),
        (Some(0), "the database is missing or empty".to_owned()),
        (Some(whole.len() / 2), format!("has {} of its {} bytes", whole.len() / 2, whole.len())),
    ] {
        std::fs::remove_file(&database).unwrap();
        if let Some(bytes) = left {
            std::fs::write(&database, &whole[..bytes]).unwrap();
        }
        let ran = ["doctor", "backup", "serve"].map(|command| match command {
            "backup" => home.run(&["backup", "--to", &copy]).failed(1),
            "serve" => home.run(&["serve", "--offline", "--listen", "127.0.0.1:0"]).failed(1),
            other => home.run(&[other]),
        });
        for ran in ran {
            let printed = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                ran.code == 1 && printed.contains(&said) && printed.contains("restore a backup"),
                "{ran:?}"
            );
            assert!(!printed.contains("memcloud doctor"), "{ran:?}");
        }
        assert_eq!(log.metadata().unwrap().len(), log_bytes, "the log may be needed again: {said}");
        std::fs::write(&database, &whole).unwrap();
    }
    let server = home.serve();
    assert_eq!(listed(&server.url).await.len(), 3);
    assert_eq!(readiness(&server.url).await["status"], "ready");
}

#[test]
fn a_backup_says_what_is_wrong_with_its_place() {
    let home = Home::new();
    drop(home.serve());
    std::os::unix::fs::symlink("nowhere", home.path("link")).unwrap();
    for (to, said) in [("missing/copy", "missing does not exist"), ("link", "link is there already")] {
        let ran = home.run(&["backup", "--to", home.path(to).to_str().unwrap()]).failed(1);
        assert!(ran.stderr.contains(said) && ran.stderr.contains("--to"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_log_that_is_shortened_while_the_server_runs_ends_its_stores() {
    let home = Home::new();
    let mut server = home.serve();
    for n in 0..5 {
        store(&server.url, &content(n)).await.unwrap();
    }
    let log = home.data().join(format!("{FILE}-wal"));
    let ran = std::process::Command::new("truncate").args(["-s", "0"]).arg(&log).status().unwrap();
    assert!(ran.success());
    for _ in 0..9 {
        let ran = home.run(&["add", "lost", "--url", &server.url]).failed(1);
        assert!(ran.stderr.contains("the write-ahead log in ") && ran.stderr.contains("restart"), "{ran:?}");
    }
    assert_eq!(readiness(&server.url).await["code"], "storage_shortened");
    server.signal("TERM");
    server.ended();
    let server = home.serve();
    let ready = readiness(&server.url).await;
    assert_eq!(ready["code"], "storage_incomplete", "{ready}");
}

#[test]
fn flipped_weights_are_refused_wherever_they_are() {
    let home = Home::new();
    let model = home.path("model");
    std::fs::create_dir(&model).unwrap();
    for file in std::fs::read_dir(crate::with_model::model_dir()).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    let weights = model.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let mut command = home.memcloud();
    command.args(["serve", "--offline", "--listen", "127.0.0.1:0", "--model-dir", model.to_str().unwrap()]);
    let ran = finish(&mut command).failed(1);
    assert!(ran.stderr.contains("SHA-256"), "{ran:?}");
}
