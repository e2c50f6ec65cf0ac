//! Settings as environments and files really hold them: with quotes around them, with variables of other programs next to
//! them, with `~` in paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use crate::answers::http;
use crate::home::{Home, Server, finish};

const SERVE: [&str; 4] = ["serve", "--offline", "--listen", "127.0.0.1:0"];

#[tokio::test]
async fn a_key_in_quotes_is_the_key_without_them() {
    let home = Home::new();
    for keys in ["\"abc123\"", "'abc123'", "\"abc123\",\"other\"", "abc123\r"] {
        let server = Server::start(home.memcloud().args(SERVE).env("MEMCLOUD_API_KEYS", keys));
        let url = format!("{}/v1/memories?group_id=g", server.url);
        let status = |key: &'static str| {
            let request = http().get(&url).bearer_auth(key);
            async { request.send().await.unwrap().status() }
        };
        assert_eq!(status("abc123").await, 200, "{keys}");
        assert_eq!(status("abc12").await, 401, "{keys}");
        let mut list = home.memcloud();
        finish(list.args(["list", "--url", &server.url]).env("MEMCLOUD_API_KEY", "\"abc123\"")).ok();
    }
}

#[test]
fn listen_wins_over_host_and_port_and_over_the_file() {
    let home = Home::new();
    let config = home.write("config.toml", "host = '192.0.2.1'\nport = 1\n");
    let mut command = home.memcloud();
    command.args(SERVE).args(["--config", config.to_str().unwrap()]);
    let server =
        Server::start(command.env("HOST", "x86_64-conda-linux-gnu").env("PORT", "tcp://10.0.0.9:80"));
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
}

#[test]
fn host_alone_is_not_an_address_to_listen_on() {
    let home = Home::new();
    let config = home.write("config.toml", "listen = '127.0.0.1:0'\n");
    let mut command = home.memcloud();
    command.args(["serve", "--offline", "--config", config.to_str().unwrap()]);
    let server = Server::start(command.env("HOST", "x86_64-conda-linux-gnu"));
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
}

#[test]
fn a_port_that_is_an_address_is_refused_by_name() {
    let home = Home::new();
    let address = "tcp://10.0.0.9:5432";
    for (name, args) in [("DB_PORT", &SERVE[..]), ("PORT", &SERVE[..2])] {
        let mut command = home.memcloud();
        let ran = finish(command.args(args).env("DB_HOST", "127.0.0.1").env(name, address)).failed(2);
        let expected = format!("error: {name} is '{address}', which is an address");
        assert!(ran.stderr.contains(&expected) && ran.stderr.contains("enableServiceLinks"), "{ran:?}");
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_refused_by_the_name_of_its_setting() {
    let home = Home::new();
    let config = home.write("config.toml", "host = 'x86_64-conda-linux-gnu'\n");
    let in_file = ["--config", config.to_str().unwrap()];
    for (args, environment, expected) in [
        (
            &[][..],
            &[("HOST", "x86_64-conda-linux-gnu"), ("PORT", "8080")][..],
            "error: HOST is 'x86_64-conda-linux-gnu', which is not an address to listen on",
        ),
        (&in_file, &[], "error: 'host' in the settings file is 'x86_64-conda-linux-gnu', which is not an"),
        (
            &[],
            &[("MEMCLOUD_LISTEN", "tcp://127.0.0.1:8080")],
            "error: MEMCLOUD_LISTEN is 'tcp://127.0.0.1:8080', which is not an address to listen on",
        ),
        (
            &[],
            &[("MEMCLOUD_LISTEN", "127.0.0.1:http")],
            "error: MEMCLOUD_LISTEN is '127.0.0.1:http', which is not an address to listen on",
        ),
        (&["--listen", "nowhere:99999"], &[], "error: --listen is 'nowhere:99999', which is not an address"),
    ] {
        let mut command = home.memcloud();
        command.args(["serve", "--offline"]).args(args).envs(environment.iter().copied());
        let ran = finish(&mut command).failed(2);
        assert!(ran.stderr.contains(expected) && ran.stderr.contains("hint: give"), "{ran:?}");
    }
    let ran =
        home.run(&["up", "--offline", "--listen", "127.0.0.1:0", "--instance-listen", "nowhere"]).failed(2);
    assert!(ran.stderr.contains("error: --instance-listen is 'nowhere'"), "{ran:?}");
}

#[test]
fn a_port_that_is_too_large_is_not_blamed_on_kubernetes() {
    let home = Home::new();
    for port in ["70000", "-1", "http"] {
        let mut command = home.memcloud();
        command.args(SERVE).env("DB_HOST", "127.0.0.1").env("DB_PORT", port);
        let ran = finish(&mut command).failed(2);
        let expected = format!("error: DB_PORT is '{port}', which is not a port");
        assert!(ran.stderr.contains(&expected) && !ran.stderr.contains("Kubernetes"), "{ran:?}");
    }
}

#[test]
fn half_a_pair_of_quotes_around_a_key_is_refused() {
    let home = Home::new();
    for keys in ["\"abc123", "abc123'", "'abc123\"", "good,\"half", "\"a\",b\""] {
        let mut command = home.memcloud();
        let ran = finish(command.args(SERVE).env("MEMCLOUD_API_KEYS", keys)).failed(2);
        let expected = "error: MEMCLOUD_API_KEYS holds a key with half a pair of quotes";
        assert!(ran.stderr.contains(expected) && !ran.stderr.contains("abc123"), "{ran:?}");
    }
}

#[test]
fn a_setting_that_is_not_utf_8_is_refused() {
    let home = Home::new();
    for name in ["MEMCLOUD_API_KEYS", "MEMCLOUD_API_KEYS_FILE", "MEMCLOUD_DATA_DIR"] {
        let mut command = home.memcloud();
        let value = OsStr::from_bytes(b"0123456789abcdef0123\xe9");
        let ran = finish(command.args(SERVE).env(name, value)).failed(2);
        assert!(ran.stderr.contains(&format!("error: {name} is not valid UTF-8")), "{ran:?}");
        assert!(!ran.stderr.contains("0123456789abcdef"), "{ran:?}");
    }
    let mut command = home.memcloud();
    finish(command.args(["completions", "bash"]).env("OTHER", OsStr::from_bytes(b"\xe9"))).ok();
}

#[test]
fn keys_in_the_file_that_are_not_texts_are_refused() {
    let home = Home::new();
    for keys in ["true", "12345678901234567", "[12345678901234567, '0123456789abcdef0123']"] {
        let file = home.write("config.toml", &format!("api_keys = {keys}\n"));
        let mut command = home.memcloud();
        let ran = finish(command.args(SERVE).arg("--config").arg(file)).failed(2);
        assert!(ran.stderr.contains("'api_keys' must be"), "{ran:?}");
        assert!(!ran.stderr.contains("1234567"), "{ran:?}");
    }
}

#[tokio::test]
async fn an_endpoint_without_a_model_leaves_the_memory_without_chat() {
    let home = Home::new();
    for url in ["http://127.0.0.1:9/v1", "not an address"] {
        let mut server = Server::start(home.memcloud().args(SERVE).env("OPENAI_BASE_URL", url));
        for words in ["OPENAI_BASE_URL is set, but MEMCLOUD_CHAT_MODEL is not", "hint: to enable both, set"] {
            assert!(server.logged.contains(words), "{}", server.logged);
        }
        let body = json!({
            "session": {"group_id": "g", "session_id": "s", "user_id": ["ann"], "agent_id": ["bot"]},
            "messages": [{"role": "user", "content": "hi"}],
        });
        let answer = http().post(format!("{}/v1/chat", server.url)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 503);
        home.run(&["add", "the blue pot", "--url", &server.url]).ok();
        let mut doctor = home.memcloud();
        doctor.args(["doctor", "--offline", "--json", "--url", &server.url]).env("OPENAI_BASE_URL", url);
        let parts = finish(&mut doctor).ok().json();
        let llm = parts["parts"].as_array().unwrap().iter().find(|part| part["part"] == "llm").unwrap();
        assert_eq!(llm["state"], "warning", "{llm}");
        assert!(llm["hint"].as_str().unwrap().contains("MEMCLOUD_CHAT_MODEL"), "{llm}");
        server.signal("TERM");
        server.ended();
    }
}

#[test]
fn a_model_without_an_endpoint_and_a_key_is_reported() {
    let home = Home::new();
    let server = Server::start(home.memcloud().args(SERVE).env("MEMCLOUD_CHAT_MODEL", "m"));
    for words in [
        "MEMCLOUD_CHAT_MODEL is set, but neither OPENAI_API_KEY nor OPENAI_BASE_URL is",
        "hint: to enable both, set OPENAI_API_KEY",
    ] {
        assert!(server.logged.contains(words), "{}", server.logged);
    }
}

#[test]
fn the_home_folder_in_a_path_is_the_home_folder() {
    for dir in ["~/mem", "$HOME/mem", "${HOME}/mem", "\\\"~/mem\\\"", "~/mem\\r"] {
        let home = Home::new();
        let config = format!("listen = '127.0.0.1:0'\noffline = true\ndata_dir = \"{dir}\"\n");
        let config = home.write("config.toml", &config);
        let serve = |folder: &str| {
            let folder = home.path(folder);
            std::fs::create_dir_all(&folder).unwrap();
            let mut command = home.memcloud();
            command.args(["serve", "--config", config.to_str().unwrap()]).current_dir(folder);
            Server::start(&mut command)
        };
        let mut server = serve("one");
        home.run(&["add", "the spare key is under the blue pot", "--url", &server.url]).ok();
        server.signal("TERM");
        server.ended();
        let server = serve("other");
        let found = home.run(&["search", "blue pot", "--url", &server.url]).ok();
        assert!(found.stdout.contains("under the blue pot"), "{dir}: {found:?}");
        assert!(home.path("mem").is_dir() && !home.path("one/~").exists(), "{dir}");
        assert_eq!(std::fs::read_dir(home.path("one")).unwrap().count(), 0, "{dir}");
    }
}

#[test]
fn the_home_folder_is_found_in_the_environment_and_in_flags() {
    let home = Home::new();
    let memory = home.path("mem").join(memcloud_store_sqlite::FILE);
    drop(Server::start(home.memcloud().args(SERVE).env("MEMCLOUD_DATA_DIR", "\"~/mem\"\r")));
    assert!(memory.exists());
    home.run(&["export", "--data-dir=\"~/mem\"", "--to=~/copy\r"]).ok();
    assert!(home.path("copy").join(memcloud_store_sqlite::FILE).exists());
}

#[test]
fn a_path_with_another_variable_is_refused() {
    let home = Home::new();
    for dir in ["$XDG_DATA/mem", "~ann/mem"] {
        let mut command = home.memcloud();
        let ran = finish(command.args(SERVE).env("MEMCLOUD_DATA_DIR", dir)).failed(2);
        assert!(ran.stderr.contains("MEMCLOUD_DATA_DIR") && ran.stderr.contains("in full"), "{ran:?}");
    }
}
