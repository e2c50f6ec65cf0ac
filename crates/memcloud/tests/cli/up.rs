use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::home::{Home, PATIENCE, finish};

/// The ports of instances: each home has its own, below those that the system gives to programs that do not choose, since
/// tests run side by side.
static NEXT_PORT: AtomicU16 = AtomicU16::new(24_000);
const PORTS: u16 = 10;

/// `up`, with what it says once it is ready.
pub(crate) struct Up {
    child: Child,
    /// What it printed.
    pub(crate) facts: Value,
    /// Where its console keeps its things.
    console: std::path::PathBuf,
}

/// `up` in this home, on free ports.
pub(crate) fn up(home: &Home) -> Command {
    // Copies of the program take space and time; all tests share one.
    let programs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs-of-up");
    std::fs::create_dir_all(&programs).unwrap();
    DirBuilder::new().recursive(true).mode(0o700).create(home.data().join("console")).unwrap();
    // A home may run it more than once.
    let _ = symlink(programs, home.data().join("console/programs"));
    let first = NEXT_PORT.fetch_add(PORTS, Ordering::Relaxed);
    let mut command = home.memcloud();
    command
        .args(["up", "--offline", "--listen", "127.0.0.1:0"])
        .env("MEMCLOUD_INSTANCE_LISTEN", "127.0.0.1:0");
    command.env("MEMCLOUD_INSTANCE_PORTS", format!("{first}-{}", first + PORTS - 1)).stdin(Stdio::null());
    command
}

impl Up {
    pub(crate) fn start(home: &Home) -> Self {
        Self::run(home, &mut up(home))
    }

    /// Runs this command, which is `up`, until it is ready.
    pub(crate) fn run(home: &Home, command: &mut Command) -> Self {
        let command = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let facts = serde_json::from_str(&line).unwrap();
        Self { child, facts, console: home.data().join("console") }
    }

    /// The address of the first instance.
    pub(crate) fn url(&self) -> &str {
        self.facts["instance"]["url"].as_str().unwrap()
    }

    pub(crate) fn console(&self) -> &str {
        self.facts["console"].as_str().unwrap()
    }

    /// The processes of instances that live, by what they say about themselves.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let folders = std::fs::read_dir(self.console.join("instances")).unwrap();
        let files = folders.map(|folder| folder.unwrap().path().join("process.json"));
        let records =
            files.filter_map(|file| serde_json::from_slice::<Value>(&std::fs::read(file).ok()?).ok());
        let pids = records.filter_map(|record| u32::try_from(record["pid"].as_u64()?).ok());
        pids.filter(|pid| lives(*pid)).collect()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        signal(self.child.id(), "TERM");
        self.child.wait().unwrap()
    }

    /// Kills the console alone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already; its instances outlive it where it was killed.
        if self.child.try_wait().unwrap().is_none() {
            self.stop();
        }
        self.processes().into_iter().for_each(|pid| signal(pid, "KILL"));
    }
}

/// Whether a process lives. One that has ended and is not waited for does not.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) fn signal(pid: u32, name: &str) {
    // It may have ended already.
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Waits until it holds.
#[track_caller]
pub(crate) fn until(holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never holds");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn prints_how_to_reach_the_console_and_its_first_instance() {
    let home = Home::new();
    let up = Up::start(&home);
    assert!(up.facts["sign_in"].as_str().unwrap().starts_with(&format!("{}/sign-in/", up.console())));
    assert!(up.facts["api_token"].as_str().unwrap().starts_with("mct_"));
    let shown = home.run(&["instances", "show", "default", "--json"]).ok().json();
    assert_eq!((&shown["id"], &shown["url"]), (&up.facts["instance"]["id"], &up.facts["instance"]["url"]));
    assert_eq!(shown["state"], "running");
    let key = up.facts["instance"]["key"].as_str().unwrap();
    home.run(&["list", "--url", up.url(), "--key", key]).ok();
}

#[test]
fn becomes_the_current_instance_of_its_user_alone() {
    let home = Home::new();
    let _up = Up::start(&home);
    for note in ["current.json", "console.json"] {
        let note = home.path(".local/state/memcloud").join(note);
        assert_eq!(std::fs::metadata(&note).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let key = home.data().join("console/sealing.key");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&["add", "no address and no key is needed"]).ok();
    home.run(&["search", "address"]).ok();
    home.run(&["search", "address", "--instance", "default"]).ok();
}

#[test]
fn serves_even_if_nothing_can_be_kept_for_its_user() {
    let home = Home::new();
    std::fs::create_dir_all(home.path(".local")).unwrap();
    home.write(".local/state", "in the way");
    let up = Up::start(&home);
    home.run(&["add", "still works", "--url", up.url()]).ok();
    let mut command = home.memcloud();
    command.args(["instances", "list", "--console", up.console()]);
    finish(command.env("MEMCLOUD_TOKEN", up.facts["api_token"].as_str().unwrap())).ok();
}

#[test]
fn other_machines_need_a_key() {
    let home = Home::new();
    let exposed = |home: &Home| Up::run(home, up(home).args(["--instance-listen", "0.0.0.0:0"]));
    let mut running = exposed(&home);
    let key = running.facts["instance"]["key"].as_str().unwrap().to_owned();
    home.run(&["list"]).failed(5);
    home.run(&["list", "--key", &key]).ok();
    running.stop();
    let again = exposed(&home);
    assert_eq!(again.facts["instance"]["key"], key.as_str(), "clients keep their key");
    home.run(&["list", "--key", &key]).ok();
}

#[test]
fn a_first_key_of_its_own_locks_the_first_instance() {
    let home = Home::new();
    let up = Up::start(&home);
    let created = home.run(&["keys", "create", "root", "--right", "admin", "--right", "read"]).ok();
    home.run(&["list"]).failed(5);
    home.run(&["list", "--key", created.stdout.trim()]).ok();
    home.run(&["list", "--key", up.facts["instance"]["key"].as_str().unwrap()]).ok();
}

#[test]
fn memory_of_an_earlier_version_becomes_the_first_instance() {
    let home = Home::new();
    let mut server = home.serve();
    home.run(&["add", "from before", "--url", &server.url]).ok();
    server.signal("TERM");
    server.ended();
    let _up = Up::start(&home);
    home.run(&["search", "before"]).ok();
    assert!(home.data().join(memcloud_store_sqlite::FILE).exists(), "nothing was moved");
}

#[test]
fn a_stopped_console_stops_its_instances_and_the_next_one_starts_them() {
    let home = Home::new();
    let mut first = Up::start(&home);
    home.run(&["add", "kept"]).ok();
    home.run(&["instances", "create", "second"]).ok();
    assert_eq!(first.processes().len(), 2);
    assert!(first.stop().success());
    assert!(first.processes().is_empty());
    let again = Up::start(&home);
    assert_eq!(again.facts["instance"]["id"], first.facts["instance"]["id"]);
    assert_eq!(again.facts["api_token"], first.facts["api_token"], "the token that is kept still opens it");
    home.run(&["search", "kept"]).ok();
    until(|| home.run(&["instances", "show", "second", "--json"]).ok().json()["state"] == "running");
}

#[test]
fn instances_outlive_a_killed_console_and_the_next_one_adopts_them() {
    let home = Home::new();
    let mut first = Up::start(&home);
    home.run(&["instances", "create", "second"]).ok();
    home.run(&["add", "kept", "--instance", "second"]).ok();
    let processes = first.processes();
    first.kill();
    assert_eq!(first.processes(), processes, "they live on");
    home.run(&["add", "without a console", "--url", first.url()]).ok();
    let mut again = Up::start(&home);
    assert_eq!(again.processes(), processes, "nothing was started twice");
    assert_eq!(again.facts["instance"], first.facts["instance"]);
    home.run(&["search", "kept", "--instance", "second"]).ok();
    home.run(&["search", "console"]).ok();
    again.stop();
    assert!(again.processes().is_empty());
}

#[test]
fn a_killed_instance_is_started_again() {
    let home = Home::new();
    let up = Up::start(&home);
    home.run(&["add", "kept"]).ok();
    let [killed] = up.processes()[..] else { panic!("{:?}", up.processes()) };
    signal(killed, "KILL");
    until(|| up.processes().iter().any(|process| *process != killed));
    until(|| home.run(&["instances", "show", "default", "--json"]).ok().json()["state"] == "running");
    home.run(&["search", "kept"]).ok();
}

#[test]
fn a_language_model_that_is_down_does_not_keep_the_memory_from_running() {
    let home = Home::new();
    let start = || {
        let mut command = up(&home);
        command.env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1").env("MEMCLOUD_CHAT_MODEL", "m");
        Up::run(&home, &mut command)
    };
    let mut first = start();
    let works_without = || {
        home.run(&["search", "kept"]).ok();
        let verified = home.run(&["verify", "default"]);
        assert_eq!(verified.code, 1, "something of it does not work: {verified:?}");
        for line in ["memory_working    yes", "profile           no", "chat_enabled      no"] {
            assert!(verified.stdout.contains(line), "{verified:?}");
        }
        let shown = home.run(&["instances", "show", "default", "--json"]).ok().json();
        assert_eq!(shown["state"], "running");
    };
    home.run(&["add", "kept"]).ok();
    works_without();
    first.stop();
    let _again = start();
    works_without();
}

#[test]
fn a_first_instance_that_cannot_run_is_explained_and_tried_again() {
    let home = Home::new();
    let mut in_the_way = home.serve();
    let mut command = up(&home);
    let mut child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut until_said = |text: &str| {
        said.find(|line| line.contains(text)).unwrap_or_else(|| panic!("it does not say '{text}'"))
    };
    let warning = until_said("warning: the first instance does not run yet");
    assert!(warning.contains("another process has the data"), "{warning}");
    until_said("hint: ");
    until_said("tries again");
    assert_ne!(home.run(&["instances", "show", "default", "--json"]).ok().json()["state"], "running");
    in_the_way.signal("TERM");
    in_the_way.ended();
    until(|| home.run(&["instances", "start", "default"]).code == 0);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let facts: Value = serde_json::from_str(&line).unwrap();
    home.run(&["list", "--url", facts["instance"]["url"].as_str().unwrap()]).ok();
    signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_second_one_on_the_same_data_is_refused() {
    let home = Home::new();
    let up_one = Up::start(&home);
    let refused = finish(&mut up(&home)).failed(1);
    assert!(refused.stderr.contains("another 'memcloud up' runs on"), "{refused:?}");
    home.run(&["list", "--url", up_one.url()]).ok();
}

#[test]
fn a_lost_sealing_key_is_not_replaced() {
    let home = Home::new();
    Up::start(&home).stop();
    std::fs::remove_file(home.path(".local/share/memcloud/console/sealing.key")).unwrap();
    let refused = finish(&mut up(&home)).failed(1);
    assert!(refused.stderr.contains("sealing.key, which opens the secrets of the console"), "{refused:?}");
}

#[test]
fn each_data_directory_keeps_its_token_for_its_user() {
    let (one, two) = (Home::new(), Home::new());
    let tokens = [&one, &two, &one, &two].map(|home| {
        let up = Up::run(home, up(home).env("XDG_STATE_HOME", one.path("state")));
        up.facts["api_token"].as_str().unwrap().to_owned()
    });
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!(tokens[..2], tokens[2..]);
}

#[test]
fn a_token_that_is_gone_is_made_again() {
    let home = Home::new();
    let mut first = Up::start(&home);
    first.stop();
    std::fs::remove_file(home.path(".local/state/memcloud/console.json")).unwrap();
    let again = Up::start(&home);
    assert_ne!(again.facts["api_token"], first.facts["api_token"]);
    home.run(&["instances", "list"]).ok();
}

#[test]
fn settings_of_the_next_start_reach_the_first_instance() {
    let home = Home::new();
    let mut first = Up::start(&home);
    home.run(&["add", "kept"]).ok();
    first.stop();
    let again = Up::run(&home, up(&home).env("MEMCLOUD_API_KEYS", "a-key-of-mine"));
    home.run(&["list"]).failed(5);
    home.run(&["search", "kept", "--key", "a-key-of-mine"]).ok();
    home.run(&["search", "kept", "--instance", "default"]).ok();
    drop(again);
}

#[test]
fn prints_commands_that_work() {
    let home = Home::new();
    let mut child = up(&home).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut printed = String::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut chunk = [0; 4096];
    while !printed.contains("Ctrl-C") {
        let read = stdout.read(&mut chunk).unwrap();
        assert!(read > 0, "{printed}");
        printed.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    let requests: Vec<(&str, Value)> = printed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("curl -s "))
        .map(|line| {
            (line.split(' ').next().unwrap(), serde_json::from_str(line.split('\'').nth(3).unwrap()).unwrap())
        })
        .collect();
    let [(store, message), (search, question)] = &requests[..] else { panic!("{printed}") };
    let url = store.strip_suffix("/v1/memories").unwrap();
    assert!(search.starts_with(url));
    home.run(&["add", message["episode_content"].as_str().unwrap(), "--user", "ann", "--url", url]).ok();
    home.run(&["search", question["query"].as_str().unwrap(), "--url", url]).ok();
    signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
}
