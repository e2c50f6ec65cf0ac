use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::home::{Home, Server, finish};
use crate::with_model::{model_dir, serve};

const OFFLINE: [&str; 4] = ["serve", "--offline", "--listen", "127.0.0.1:0"];

#[test]
fn a_taken_port_is_reported_and_not_avoided() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (args, flag) in [
        (&["serve", "--listen", &address][..], "--listen"),
        (&["up", "--listen", &address, "--instance-listen", "127.0.0.1:0"], "--listen"),
        (&["up", "--listen", "127.0.0.1:0", "--instance-listen", &address], "--instance-listen"),
    ] {
        let ran = home.run(&[args, &["--offline"]].concat()).failed(1);
        assert!(ran.stderr.contains("is taken") && ran.stderr.contains(&format!("with {flag},")), "{ran:?}");
    }
    assert!(!home.data().exists());
}

#[test]
fn is_never_open_to_the_network_without_a_key() {
    let home = Home::new();
    let ran = home.run(&["serve", "--offline", "--listen", "0.0.0.0:0"]).failed(2);
    assert!(ran.stderr.contains("--listen says where to listen"), "{ran:?}");
    let config = home.write("config.toml", "host = '0.0.0.0'\nport = 0\n");
    let from_file = home.run(&["serve", "--offline", "--config", config.to_str().unwrap()]).failed(2);
    assert!(from_file.stderr.contains("'host' in the settings file says where to listen"), "{from_file:?}");
    assert!(ran.stderr.contains("MEMCLOUD_API_KEYS"), "{ran:?}");
    assert!(!home.data().exists());
    let mut command = home.memcloud();
    let ran = finish(command.args(["serve", "--offline"]).env("HOST", "0.0.0.0").env("PORT", "0"));
    ran.failed(2);
    let mut command = home.memcloud();
    let keys = home.write("keys", "a-key-of-16-more\nanother-key-of-16\n");
    let open = command.args(["serve", "--offline"]).env("HOST", "0.0.0.0").env("PORT", "0");
    drop(Server::start(open.env("MEMCLOUD_API_KEYS_FILE", keys)));
    let mut command = home.memcloud();
    command.env("MEMCLOUD_API_KEYS", "a-key-of-16-more,fifteen-letters");
    let short = finish(command.args(["serve", "--offline", "--listen", "0.0.0.0:0"])).failed(2);
    assert!(short.stderr.contains("16 characters") && !short.stderr.contains("fifteen"), "{short:?}");
    command = home.memcloud();
    drop(Server::start(
        command.args(["serve", "--offline", "--listen", "127.0.0.1:0"]).env("MEMCLOUD_API_KEYS", "k"),
    ));
}

#[test]
fn data_that_another_process_holds_is_left_alone() {
    let home = Home::new();
    let server = home.serve();
    let ran = home.run(&OFFLINE).failed(1);
    assert!(ran.stderr.contains("another process") && ran.stderr.contains("--data-dir"), "{ran:?}");
    // The error comes before a model is fetched.
    let hub = TcpListener::bind("127.0.0.1:0").unwrap();
    hub.set_nonblocking(true).unwrap();
    let address = format!("http://{}", hub.local_addr().unwrap());
    let mut command = home.memcloud();
    command.env("MEMCLOUD_MODEL_HUB", &address).env("MEMCLOUD_PYPI_INDEX", &address);
    let ran = finish(command.args(["serve", "--listen", "127.0.0.1:0"])).failed(1);
    assert!(ran.stderr.contains("another process"), "{ran:?}");
    assert!(hub.accept().is_err(), "the hub was asked");
    home.run(&["add", "still here", "--url", &server.url]).ok();
}

#[test]
fn data_that_cannot_be_written_is_reported() {
    let home = Home::new();
    drop(home.serve());
    // Root may write anywhere: then the server runs as another user, from a copy that this user can reach.
    let program = home.path("memcloud");
    std::fs::copy(env!("CARGO_BIN_EXE_memcloud"), &program).unwrap();
    let mut command = home.program(&program);
    command.args(OFFLINE).stdin(Stdio::null());
    for folder in [home.path(""), home.path(".local"), home.path(".local/share")] {
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(home.data(), PermissionsExt::from_mode(0o555)).unwrap();
    for file in std::fs::read_dir(home.data()).unwrap() {
        std::fs::set_permissions(file.unwrap().path(), PermissionsExt::from_mode(0o444)).unwrap();
    }
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65_534);
    }
    let ran = finish(&mut command).failed(1);
    assert!(ran.stderr.contains("writ"), "{ran:?}");
}

#[test]
fn a_truncated_model_is_reported() {
    let home = Home::new();
    let dir = home.data().join("models/all-MiniLM-L6-v2");
    std::fs::create_dir_all(&dir).unwrap();
    for file in std::fs::read_dir(model_dir()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), dir.join(file.file_name())).unwrap();
        }
    }
    let weights = std::fs::OpenOptions::new().write(true).open(dir.join("model.safetensors")).unwrap();
    weights.set_len(1_000_000).unwrap();
    let ran = home.run(&OFFLINE).failed(1);
    assert!(ran.stderr.contains("model.safetensors") && ran.stderr.contains("delete"), "{ran:?}");
}

#[test]
fn wrong_settings_are_reported_by_name() {
    let home = Home::new();
    for (name, value) in [
        ("MEMCLOUD_LOG", "very loud"),
        ("MEMCLOUD_LOG_FORMAT", "xml"),
        ("MEMCLOUD_THREADS", "0"),
        ("MEMCLOUD_MAX_BODY_BYTES", "a lot"),
    ] {
        let mut command = home.memcloud();
        let ran = finish(command.args(OFFLINE).env(name, value)).failed(2);
        assert!(ran.stderr.contains(name), "{name}: {ran:?}");
    }
    let mut command = home.memcloud();
    let ran = finish(command.args(["serve", "--offline"]).env("PORT", "http")).failed(2);
    assert!(ran.stderr.contains("PORT is 'http'"), "{ran:?}");
    assert!(!home.data().exists());
    let config = home.write("config.toml", "listen = '127.0.0.1:0'\nlisten_twice = true\n");
    let ran = home.run(&["serve", "--offline", "--config", config.to_str().unwrap()]).failed(2);
    assert!(ran.stderr.contains("listen_twice"), "{ran:?}");
}

#[test]
fn invalid_keys_are_reported_and_never_mean_no_keys() {
    let home = Home::new();
    let empty = home.write("empty", "\n");
    for (name, value) in [
        ("MEMCLOUD_API_KEYS", ","),
        ("MEMCLOUD_API_KEYS", " \n"),
        ("MEMCLOUD_API_KEYS", ""),
        ("MEMCLOUD_API_KEYS_FILE", empty.to_str().unwrap()),
    ] {
        let mut command = home.memcloud();
        let ran = finish(command.args(OFFLINE).env(name, value)).failed(2);
        assert!(ran.stderr.contains(&format!("{name} holds no key")), "{ran:?}");
    }
    let no_key = "'api_keys' in the settings file holds no key";
    let no_text = "'api_keys' must be a list of texts";
    for (keys, wrong) in
        [("','", no_key), ("[]", no_key), ("['']", no_key), ("[1, 2]", no_text), ("[1, 'a']", no_text)]
    {
        let config = home.write("config.toml", &format!("api_keys = {keys}\n"));
        let ran = home.run(&[&OFFLINE[..], &["--config", config.to_str().unwrap()]].concat()).failed(2);
        assert!(ran.stderr.contains(wrong), "{keys}: {ran:?}");
    }
    assert!(!home.data().exists());
}

#[test]
fn a_file_of_keys_that_lost_them_never_means_no_keys() {
    let home = Home::new();
    drop(home.serve());
    let file = home.data().join("api-keys");
    let refused = |expected: &str| {
        for command in ["serve", "up"] {
            let ran = home.run(&[command, "--offline", "--listen", "127.0.0.1:0"]);
            assert!(ran.code != 0 && ran.stderr.contains(expected), "{command}: {ran:?}");
            assert!(ran.stderr.contains("api-keys") && ran.stderr.contains("hint: "), "{command}: {ran:?}");
        }
    };
    for blank in ["", " \n\n"] {
        std::fs::write(&file, blank).unwrap();
        refused("has no key");
    }
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(home.path("nowhere"), &file).unwrap();
    refused("cannot read");
    std::fs::remove_file(&file).unwrap();
    drop(home.serve());
}

#[test]
fn files_that_others_can_use_are_warned_of() {
    let home = Home::new();
    drop(home.serve());
    let open = |name: &str, mode: u32| {
        std::fs::set_permissions(home.data().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open("", 0o755);
    open(memcloud_store_sqlite::FILE, 0o666);
    let (key, settings) =
        (home.write("key", "a-key-of-enough-characters"), home.write("config.toml", "db_password = 'x'"));
    for file in [&key, &settings] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let mut command = home.memcloud();
    command.args(["--config", settings.to_str().unwrap()]).env("MEMCLOUD_API_KEYS_FILE", &key);
    let mut server = Server::start(command.args(OFFLINE));
    let data = home.data();
    let database = data.join(memcloud_store_sqlite::FILE);
    for (file, mode) in [(data, "755"), (database, "666"), (key, "644"), (settings, "644")] {
        let file = file.display().to_string();
        let warned = |line: &str| line.contains(&format!("path={file}")) && line.contains(mode);
        assert!(server.logged.lines().any(warned), "{file}: {}", server.logged);
    }
    server.signal("TERM");
    server.ended();
    open("", 0o700);
    open(memcloud_store_sqlite::FILE, 0o600);
    assert!(!home.serve().logged.contains("chmod"));
}

#[test]
fn data_of_another_vector_space_is_refused_and_left_alone() {
    let home = Home::new();
    let mut server = serve(&home);
    home.run(&["add", "I adopted a puppy", "--url", &server.url]).ok();
    server.signal("TERM");
    server.ended();
    let file = home.data().join(memcloud_store_sqlite::FILE);
    let database = rusqlite::Connection::open(&file).unwrap();
    let tied = "UPDATE meta SET value = 'other/model/384' WHERE name = 'vector_space'";
    assert_eq!(database.execute(tied, []).unwrap(), 1);
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(database);
    let before = std::fs::read(&file).unwrap();
    let ran = home.run(&[&OFFLINE[..], &["--model-dir", model_dir().to_str().unwrap()]].concat()).failed(1);
    for words in ["other/model/384", "all-MiniLM-L6-v2/384", "hint: "] {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    assert!(std::fs::read(&file).unwrap() == before, "the database changed");
}

#[test]
fn settings_come_from_a_file() {
    let home = Home::new();
    let data = home.path("elsewhere");
    let config = format!(
        "listen = '127.0.0.1:0'\noffline = true\ndata_dir = '{}'\nlog_format = 'json'\n",
        data.display()
    );
    let config = home.write("config.toml", &config);
    let mut command = home.memcloud();
    let server = Server::start(command.args(["serve", "--config", config.to_str().unwrap()]));
    assert!(data.exists());
    assert!(server.logged.lines().any(|line| line.starts_with('{')), "{}", server.logged);
}
