//! Whatever may befall a database: what a client sees, and how soon the instance works again by itself.
//!
//! Each test prints a row of the table of faults.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use memcloud_test_servers::{Mode, Neo4j, Postgres, SharedNeo4j, SharedPostgres};
use tokio::task::JoinHandle;

use super::harness::{
    Answer, BACK_WITHIN, Behind, Client, OWN_NEO4J, Settings, serve, serve_with_model, until,
};
use crate::home::{Home, finish};

fn row(fault: &str, seen: &str, back: Duration) {
    // Not captured: the table is there to be read.
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "| {fault} | {seen} | {:.1} s |", back.as_secs_f64()).unwrap();
}

/// How many turns of a memory the shared graph holds.
pub(super) async fn turns_in_graph(memory: &str) -> i64 {
    let server = SharedNeo4j::from_environment();
    let graph = neo4rs::Graph::new(server.uri(), server.user(), server.password()).unwrap();
    let count = neo4rs::query("MATCH (e:Episode) WHERE e.memory = $memory RETURN count(e) AS turns");
    let mut rows = graph.execute(count.param("memory", memory)).await.unwrap();
    rows.single().await.unwrap().get("turns").unwrap()
}

/// All that may be asked of an instance, at once.
async fn everything(client: &Client, group: &str) -> Vec<Answer> {
    let (store, search) = (client.store(group, "stored meanwhile"), client.search(group, "hello"));
    let path = format!("/v1/memories?group_id={group}");
    let (list, delete) = (client.get(&path), client.delete(group, "01a20df8-3711-7000-8c3e-9b7c21d946ad"));
    let (store, search, list, delete, sessions) =
        tokio::join!(store, search, list, delete, client.get("/v1/sessions"));
    vec![store, search, list, delete, sessions]
}

/// A database that takes connections and answers nothing: everything that needs it is refused within five seconds, the
/// other part goes on, and what was refused is not there afterwards, though all that was sent arrives late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_hang_delay_no_client_for_long() {
    for (name, part) in [("PostgreSQL", "postgres"), ("Neo4j", "neo4j")] {
        let (home, behind) = (Home::new(), Behind::proxies());
        let server = serve(&home, &behind.settings);
        let client = Client::of(&server);
        client.store("hang", "hello").await.ok();
        let proxy = if part == "neo4j" { &behind.neo4j } else { &behind.postgres };
        proxy.set(Mode::Hang);
        let began = Instant::now();
        let answers = everything(&client, "hang").await;
        let slowest = answers.iter().map(|answer| answer.took).max().unwrap();
        assert_eq!(answers[0].unavailable(), "database_silent");
        assert_eq!(answers[1].unavailable(), "database_silent");
        assert!(answers.iter().all(|answer| answer.status != 500), "{answers:?}");
        client.until_broken(&[(part, "database_silent")]).await;
        // The outage is known by now, and no client waits.
        assert!(client.store("hang", "at once").await.took < Duration::from_secs(1));
        client.get("/health/live").await.ok();
        let hung = began.elapsed();
        proxy.set(Mode::Pass);
        let back = client.until_back("hang").await;
        assert!(back < BACK_WITHIN, "{back:?}");
        let seen = format!(
            "503 after {:.1} s, then at once (hung for {:.0} s)",
            slowest.as_secs_f64(),
            hung.as_secs_f64()
        );
        row(&format!("{name} hangs"), &seen, back);
        let listed = client.listed("hang").await;
        assert!(listed.contains(&"hello".into()) && !listed.contains(&"at once".into()), "{listed:?}");
        assert!(!listed.contains(&"stored meanwhile".into()), "it was refused: {listed:?}");
        let memory = behind.database.execute("SELECT value FROM memcloud.meta WHERE name = 'memory'");
        no_half_is_left(&behind, memory.trim()).await;
    }
}

/// Waits until the graph holds as many turns as there are records.
async fn no_half_is_left(behind: &Behind, memory: &str) {
    let until = Instant::now() + crate::home::PATIENCE;
    loop {
        let recorded = behind.database.execute("SELECT count(*) FROM memcloud.episodes");
        let turns = turns_in_graph(memory).await;
        if turns.to_string() == recorded.trim() {
            return;
        }
        assert!(Instant::now() < until, "{turns} turns, {recorded} records");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The same under load: what was answered is there, and what was refused is not, unless the answer said that the outcome is unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_under_load_loses_nothing() {
    let (home, behind) = (Home::new(), Behind::proxies());
    let server = serve(&home, &behind.settings);
    let client = Client::of(&server);
    let load = Load::start(&client, "hanging");
    for proxy in [&behind.postgres, &behind.neo4j, &behind.postgres] {
        client.until_back("hanging").await;
        proxy.set(Mode::Hang);
        // Until a client was refused because of it.
        let refused = loop {
            let answer = client.store("hanging", &format!("asked {:?}", Instant::now())).await;
            if answer.status != 200 {
                break answer;
            }
        };
        refused.unavailable();
        // All that was sent arrives now.
        proxy.set(Mode::Pass);
    }
    let back = client.until_back("hanging").await;
    row("either hangs under load, three times", &load.end(&client).await, back);
    let memory = behind.database.execute("SELECT value FROM memcloud.meta WHERE name = 'memory'");
    no_half_is_left(&behind, memory.trim()).await;
}

/// A database that is only busy keeps its pool: a server opens no more connections than it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_database_gets_no_further_connections() {
    let (home, behind) = (Home::new(), Behind::proxies());
    let server = serve(&home, &behind.settings);
    let client = Client::of(&server);
    client.store("busy", "hello").await.ok();
    behind.postgres.set(Mode::Slow(Duration::from_millis(700)));
    let mut most = 0;
    for n in 0..3 {
        let contents: Vec<String> = (0..6).map(|m| format!("slow {n} {m}")).collect();
        let mut searches: Vec<_> =
            contents.iter().map(|content| Box::pin(client.search("busy", content))).collect();
        for search in &mut searches {
            search.await;
            most = most.max(behind.postgres.connections());
        }
    }
    behind.postgres.set(Mode::Pass);
    client.until_back("busy").await;
    // Four in the pool, and one to look.
    assert!(most <= 5, "{most} connections");
}

/// Clients do not notice that idle connections were cut.
#[tokio::test]
async fn cut_idle_connections_are_replaced_unnoticed() {
    let (home, behind) = (Home::new(), Behind::proxies());
    let server = serve(&home, &behind.settings);
    let client = Client::of(&server);
    client.store("cut", "hello").await.ok();
    for n in 0..5 {
        behind.postgres.cut_now();
        behind.neo4j.cut_now();
        client.store("cut", &format!("after cut {n}")).await.ok();
        behind.postgres.cut_now();
        behind.neo4j.cut_now();
        assert!(!client.found("cut", "after").await.is_empty());
    }
    assert_eq!(client.listed("cut").await.len(), 6);
    row("idle connections are cut", "nothing", Duration::ZERO);
}

/// A server may start before its databases do.
#[tokio::test]
async fn databases_that_start_later_are_waited_for() {
    let (home, behind) = (Home::new(), Behind::proxies());
    behind.postgres.set(Mode::Refuse);
    behind.neo4j.set(Mode::Refuse);
    let server = serve(&home, &behind.settings);
    let client = Client::of(&server);
    client.until_broken(&[("postgres", "database_unreachable"), ("neo4j", "database_unreachable")]).await;
    for answer in everything(&client, "later").await {
        assert_eq!(answer.unavailable(), "database_unreachable");
        assert!(answer.took < Duration::from_secs(1), "{answer:?}");
    }
    let mut command = home.memcloud();
    let report = finish(behind.settings.apply(&mut command).args([
        "doctor",
        "--offline",
        "--json",
        "--url",
        &server.url,
    ]));
    let output = report.stdout.clone();
    assert!(
        report.code == 1 && output.contains("cannot be reached") && output.contains("NEO4J_URI"),
        "{report:?}"
    );
    behind.postgres.set(Mode::Pass);
    client.until_broken(&[("neo4j", "database_unreachable")]).await;
    behind.neo4j.set(Mode::Pass);
    let back = client.until_back("later").await;
    assert!(back < BACK_WITHIN, "{back:?}");
    client.until_broken(&[]).await;
    row("both start after the server", "503 at once", back);
}

/// A network that loses every connection again and again under load: what was answered is there, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_under_load_lose_nothing() {
    let (home, behind) = (Home::new(), Behind::proxies());
    let server = serve(&home, &behind.settings);
    let client = Client::of(&server);
    let load = Load::start(&client, "breaking");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        behind.postgres.cut_now();
        tokio::time::sleep(Duration::from_millis(50)).await;
        behind.neo4j.cut_now();
    }
    let output = load.end(&client).await;
    row("connections break under load, 40 times", &output, Duration::ZERO);
    let memory = behind.database.execute("SELECT value FROM memcloud.meta WHERE name = 'memory'");
    no_half_is_left(&behind, memory.trim()).await;
}

/// What was answered as stored, what is unknown, and how often a client was refused.
type Outcome = (BTreeSet<String>, BTreeSet<String>, usize);

/// Eight clients that store without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Outcome>>,
    group: &'static str,
}

impl Load {
    fn start(client: &Client, group: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..8)
            .map(|number| {
                let (client, stop) = (client.clone(), stop.clone());
                tokio::spawn(async move {
                    let (mut answered, mut unknown, mut refused) = (BTreeSet::new(), BTreeSet::new(), 0);
                    for n in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                        let content = format!("word{number}x{n} of client {number}");
                        let answer = client.store(group, &content).await;
                        if answer.status == 200 {
                            answered.insert(content);
                            continue;
                        }
                        refused += 1;
                        // The outcome is unknown: it may or may not be there.
                        if answer.unavailable() == "outcome_unknown" {
                            unknown.insert(content);
                        }
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    (answered, unknown, refused)
                })
            })
            .collect();
        Self { stop, clients, group }
    }

    /// Ends it, and compares what was answered with what is there. Says what the clients saw.
    async fn end(self, client: &Client) -> String {
        self.stop.store(true, Ordering::SeqCst);
        let (mut answered, mut unknown, mut refused) = (BTreeSet::new(), BTreeSet::new(), 0);
        for client in self.clients {
            let (a, u, r) = client.await.unwrap();
            answered.extend(a);
            unknown.extend(u);
            refused += r;
        }
        // The last fault may have come just now: what is there can be listed once the databases are back.
        client.until_broken(&[]).await;
        let listed = client.listed(self.group).await;
        let there: BTreeSet<String> =
            listed.iter().filter(|content| content.starts_with("word")).cloned().collect();
        let words = listed.iter().filter(|content| content.starts_with("word")).count();
        assert_eq!(there.len(), words, "nothing is there twice");
        let lost: Vec<_> = answered.difference(&there).collect();
        assert!(lost.is_empty(), "answered as stored and lost: {lost:?}");
        let surplus: Vec<_> =
            there.difference(&answered).filter(|content| !unknown.contains(*content)).collect();
        assert!(surplus.is_empty(), "refused and stored all the same: {surplus:?}");
        assert!(!answered.is_empty());
        format!(
            "{} stored, {refused} × 503 (of them {} outcome_unknown), none lost",
            answered.len(),
            unknown.len()
        )
    }
}

/// What is done to a database.
#[derive(Clone, Copy)]
enum Act {
    Stop,
    Kill,
    StartAgain,
}

/// A database is restarted, and crashes, while eight clients store: none of what was answered is lost, and it is soon back.
async fn breaks_under_load(client: &Client, name: &str, part: &str, mut act: impl FnMut(Act)) {
    for (how, group, end) in [("is restarted", "restart", Act::Stop), ("crashes", "crash", Act::Kill)] {
        client.until_back("restart").await;
        let load = Load::start(client, group);
        tokio::time::sleep(Duration::from_secs(1)).await;
        act(end);
        client.until_broken(&[(part, "database_unreachable")]).await;
        act(Act::StartAgain);
        let back = client.until_back("restart").await;
        assert!(back < BACK_WITHIN, "{back:?}");
        row(&format!("{name} {how}, 8 clients"), &load.end(client).await, back);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_postgres_restarts_under_load() {
    let mut postgres = Postgres::start();
    let database = postgres.create_database();
    let (home, settings) = (Home::new(), Settings::default().postgres(&postgres, &database).shared_neo4j());
    let server = serve(&home, &settings);
    let client = Client::of(&server);
    breaks_under_load(&client, "PostgreSQL", "postgres", |act| match act {
        Act::Stop => postgres.stop(),
        Act::Kill => postgres.kill(),
        Act::StartAgain => postgres.start_again(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_neo4j_restarts_under_load() {
    let _alone = OWN_NEO4J.lock().await;
    let mut neo4j = Neo4j::start();
    let database = SharedPostgres::from_environment().create_database();
    let (home, settings) = (Home::new(), Settings::default().shared_postgres(&database).neo4j(&neo4j));
    // Two at once on an empty graph: one makes what the other wants to make.
    let (server, _other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| serve_with_model(&home, &settings));
        (serve_with_model(&home, &settings), other.join().unwrap())
    });
    let client = Client::of(&server);
    breaks_under_load(&client, "Neo4j", "neo4j", |act| match act {
        Act::Stop => neo4j.stop(),
        Act::Kill => neo4j.kill(),
        Act::StartAgain => neo4j.start_again(),
    })
    .await;
    // It does not take writes for a while, and reads go on.
    neo4j.stop();
    neo4j.start_again_with(&["server.databases.default_to_read_only=true"]);
    client.until_broken(&[("neo4j", "database_read_only")]).await;
    assert_eq!(client.store("restart", "not now").await.unavailable(), "database_read_only");
    assert!(!client.found("restart", "back again").await.is_empty());
    neo4j.stop();
    neo4j.start_again();
    let back = client.until_back("restart").await;
    assert!(!client.listed("restart").await.contains(&"not now".into()));
    row("Neo4j is read-only", "stores 503 database_read_only, searches work", back);
    // It is paused, like a machine that is out of memory.
    neo4j.freeze();
    assert_eq!(client.store("restart", "frozen").await.unavailable(), "database_silent");
    neo4j.thaw();
    let back = client.until_back("restart").await;
    assert!(back < BACK_WITHIN, "{back:?}");
    row("Neo4j is paused", "503 database_silent within 5 s", back);
    // The same records with another graph: nothing is found there, and nothing must be written.
    let elsewhere = serve(&home, &Settings::default().shared_postgres(&database).shared_neo4j());
    let refused = Client::of(&elsewhere).store("restart", "hello").await;
    assert_eq!(refused.unavailable(), "episodes_elsewhere");
}

#[tokio::test]
async fn fault_passwords_that_are_refused_are_reported_and_can_be_corrected() {
    let _alone = OWN_NEO4J.lock().await;
    let (postgres, neo4j) = (Postgres::start(), Neo4j::start());
    let database = postgres.create_database();
    let right = Settings::default().postgres(&postgres, &database).neo4j(&neo4j);
    let wrong = right.clone().with("DB_PASSWORD", "wr0ng-0ne").with("NEO4J_PASSWORD", "wr0ng-tw0");
    let home = Home::new();
    let mut server = serve(&home, &wrong);
    let client = Client::of(&server);
    client.until_broken(&[("postgres", "database_refused"), ("neo4j", "database_refused")]).await;
    let refused = client.store("password", "hello").await;
    assert_eq!(refused.unavailable(), "database_refused");
    assert!(refused.body["hint"].as_str().unwrap().contains("DB_PASSWORD"), "{refused:?}");
    let mut command = home.memcloud();
    let doctor = finish(wrong.apply(&mut command).args(["doctor", "--offline"]));
    for hint in ["correct DB_USER, DB_PASSWORD", "correct NEO4J_USER and NEO4J_PASSWORD"] {
        assert!(doctor.stdout.contains(hint), "{doctor:?}");
    }
    // The database learns the password that the server has.
    postgres.execute("postgres", "ALTER ROLE memcloud PASSWORD 'wr0ng-0ne'");
    let began = Instant::now();
    client.until_broken(&[("neo4j", "database_refused")]).await;
    row("a password is refused", "503 database_refused", began.elapsed());
    server.signal("TERM");
    server.log_line("stopped");
    for secret in ["wr0ng", postgres.password(), neo4j.password()] {
        assert!(!server.logged.contains(secret) && !doctor.stdout.contains(secret), "{}", server.logged);
    }
}

#[tokio::test]
async fn fault_postgres_without_connections_or_room_to_write() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    postgres.execute("postgres", "CREATE ROLE app LOGIN PASSWORD 'app'");
    postgres.execute("postgres", &format!("GRANT ALL ON DATABASE {database} TO app"));
    postgres.execute(&database, "CREATE EXTENSION vector");
    let settings =
        Settings::default().postgres(&postgres, &database).with("DB_USER", "app").with("DB_PASSWORD", "app");
    let home = Home::new();
    let server = serve(&home, &settings);
    let client = Client::of(&server);
    client.store("room", "hello").await.ok();
    let cut = || {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
        postgres.execute("postgres", sql);
    };
    postgres.execute("postgres", "ALTER ROLE app CONNECTION LIMIT 0");
    cut();
    client.until_broken(&[("postgres", "database_exhausted")]).await;
    assert_eq!(client.store("room", "not now").await.unavailable(), "database_exhausted");
    postgres.execute("postgres", "ALTER ROLE app CONNECTION LIMIT -1");
    let back = client.until_back("room").await;
    row("PostgreSQL has no connection left", "503 database_exhausted", back);

    postgres
        .execute("postgres", &format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    cut();
    client.until_broken(&[("postgres", "database_read_only")]).await;
    assert_eq!(client.store("room", "not now").await.unavailable(), "database_read_only");
    assert!(!client.found("room", "hello").await.is_empty(), "it can be read");
    postgres.execute("postgres", &format!("ALTER DATABASE {database} RESET default_transaction_read_only"));
    // Connections that are open stay read-only, as those to a former primary: the server makes new ones by itself.
    let back = client.until_back("room").await;
    row("PostgreSQL is read-only", "stores 503 database_read_only, searches work", back);

    postgres.execute("postgres", &format!("REVOKE CREATE ON DATABASE {database} FROM app"));
    let fresh = postgres.create_database();
    let no_rights = settings.with("DB_NAME", fresh);
    let other = serve(&home, &no_rights);
    let client = Client::of(&other);
    client.until_broken(&[("postgres", "database_forbidden")]).await;
    let refused = client.store("room", "hello").await;
    assert!(refused.body["hint"].as_str().unwrap().contains("GRANT CREATE"), "{refused:?}");
    row("PostgreSQL lets the user create nothing", "503 database_forbidden", Duration::ZERO);
}

#[tokio::test]
async fn fault_databases_that_are_too_old_or_lack_something() {
    let _alone = OWN_NEO4J.lock().await;
    let (old, plain, neo4j) = (
        Postgres::options().old().start(),
        Postgres::options().plain().start(),
        Neo4j::options().old().start(),
    );
    let database = SharedPostgres::from_environment().create_database();
    for (settings, part, code, hint) in [
        (
            Settings::default().postgres(&old, &old.create_database()),
            "postgres",
            "database_too_old",
            "pgvector 0.7",
        ),
        (
            Settings::default().postgres(&plain, &plain.create_database()),
            "postgres",
            "database_lacking",
            "install pgvector",
        ),
        (
            Settings::default().shared_postgres(&database).neo4j(&neo4j),
            "neo4j",
            "database_too_old",
            "Neo4j 5.23",
        ),
    ] {
        let home = Home::new();
        let server = serve(&home, &settings);
        let client = Client::of(&server);
        client.until_broken(&[(part, code)]).await;
        let refused = client.store("old", "hello").await;
        assert_eq!(refused.unavailable(), code);
        assert!(refused.body["hint"].as_str().unwrap().contains(hint), "{refused:?}");
        let mut command = home.memcloud();
        let doctor = finish(settings.apply(&mut command).args(["doctor", "--offline"]));
        assert!(doctor.code == 1 && doctor.stdout.contains(hint), "{doctor:?}");
        row(&format!("{part}: {code}"), &format!("503 {code}"), Duration::ZERO);
    }
}

/// A file system of a few megabytes. It needs the right to mount.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf, megabytes: usize) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let options = format!("size={megabytes}m,mode=0777");
        as_root(&["mount", "-t", "tmpfs", "-o", &options, "none"], &folder);
        Self(folder)
    }

    fn grow(&self, megabytes: usize) {
        as_root(&["mount", "-o", &format!("remount,size={megabytes}m")], &self.0);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn as_root(command: &[&str], folder: &Path) {
    let is_root = rustix::process::geteuid().is_root();
    let words = if is_root { command.to_vec() } else { [&["sudo", "-n"], command].concat() };
    let status = Command::new(words[0]).args(&words[1..]).arg(folder).status().unwrap();
    assert!(
        status.success(),
        "this test makes a small file system and needs root, or sudo without a password"
    );
}

#[tokio::test]
async fn fault_postgres_on_a_full_disk() {
    let postgres = Postgres::start();
    let home = Home::new();
    let disk =
        SmallDisk::mount(PathBuf::from("/tmp").join(format!("memcloud-full-{}", std::process::id())), 24);
    let database = postgres.create_database_in(&disk.0);
    let server = serve(&home, &Settings::default().postgres(&postgres, &database));
    let client = Client::of(&server);
    let (stored, refusal) = loop_until_full(&client, "full").await;
    assert_eq!(refusal.unavailable(), "database_full");
    assert_eq!(client.listed("full").await.len(), stored, "what was answered is there, and nothing else");
    disk.grow(64);
    let back = client.until_back("full").await;
    assert!(back < BACK_WITHIN, "{back:?}");
    row("the disk of PostgreSQL is full", "503 database_full, searches work", back);
}

/// Stores long messages until one is refused. Answers how many there were, and the refusal.
async fn loop_until_full(client: &Client, group: &str) -> (usize, Answer) {
    for n in 0.. {
        let words = (0..30_000).map(|i| ((n * 7_919 + i * 104_729) % 1_048_573).to_string());
        let noise = words.collect::<Vec<_>>().join(" ");
        let answer = client.store(group, &format!("message {n} {noise}")).await;
        if answer.status != 200 {
            return (n, answer);
        }
    }
    unreachable!("a small disk holds no end of messages")
}

#[tokio::test]
async fn fault_neo4j_on_a_full_disk() {
    let _alone = OWN_NEO4J.lock().await;
    let disk =
        SmallDisk::mount(PathBuf::from("/tmp").join(format!("memcloud-graph-{}", std::process::id())), 48);
    let mut neo4j = Neo4j::options().home_in(&disk.0).start();
    let database = SharedPostgres::from_environment().create_database();
    let home = Home::new();
    let server = serve(&home, &Settings::default().shared_postgres(&database).neo4j(&neo4j));
    let client = Client::of(&server);
    let (stored, refusal) = loop_until_full(&client, "full").await;
    let code = refusal.unavailable().to_owned();
    assert!(stored > 0, "{refusal:?}");
    let recorded = database.execute("SELECT count(*) FROM memcloud.episodes");
    assert_eq!(recorded.trim(), stored.to_string(), "nothing is recorded that was refused");
    // Neo4j gives up a database that it cannot write; with more room it is started again.
    neo4j.kill();
    disk.grow(256);
    neo4j.start_again();
    let back = client.until_back("full").await;
    assert!(back < BACK_WITHIN, "{back:?}");
    assert!(client.listed("full").await.len() > stored);
    row("the disk of Neo4j is full", &format!("503 {code}"), back);
}

/// Two servers between which a proxy is slow: slow is not broken.
#[tokio::test]
async fn a_slow_network_is_only_slow() {
    let (home, behind) = (Home::new(), Behind::proxies());
    for proxy in [&behind.postgres, &behind.neo4j] {
        proxy.set(Mode::Slow(Duration::from_millis(40)));
    }
    let server = serve(&home, &behind.settings);
    let client = Client::of(&server);
    client.until_back("slow").await;
    let stored = client.store("slow", "hello").await;
    let took = stored.took;
    stored.ok();
    assert!(!client.found("slow", "hello").await.is_empty());
    row("40 ms more each way", &format!("a store takes {:.1} s", took.as_secs_f64()), Duration::ZERO);
}

#[tokio::test]
async fn a_deletion_during_an_outage_of_neo4j_is_completed_later() {
    let (home, behind) = (Home::new(), Behind::proxies());
    let server = serve(&home, &behind.settings);
    let client = Client::of(&server);
    let id = client.store("gone", "a secret").await.ok()["id"].as_str().unwrap().to_owned();
    behind.neo4j.set(Mode::Refuse);
    client.until_broken(&[("neo4j", "database_unreachable")]).await;
    client.delete("gone", &id).await.unavailable();
    behind.neo4j.set(Mode::Pass);
    client.until_back("gone").await;
    let memory = behind.database.execute("SELECT value FROM memcloud.meta WHERE name = 'memory'");
    no_half_is_left(&behind, memory.trim()).await;
    until("no note is left", || {
        behind.database.execute("SELECT count(*) FROM memcloud.intents WHERE due <= now()").trim() == "0"
    })
    .await;
}
