use serde_json::{Value, json};

use crate::home::{ContentLocation, Server, http};

/// The stand-in, on a free port.
fn dev_model(home: &ContentLocation, args: &[&str]) -> Server {
    Server::start(home.memcloud().arg("dev-model").args(args))
}

#[tokio::test]
async fn it_answers_from_what_it_is_shown_until_it_is_told_to_stop() {
    let home = ContentLocation::new();
    for signal in ["TERM", "INT"] {
        let mut server = dev_model(&home, &["--key", "sk-dev", "--latency", "5ms", "--jitter", "5ms"]);
        assert!(server.url.ends_with("/v1"), "{}", server.url);
        let body = json!({"model": "dev-model", "messages": [
            {"role": "system", "content": "- [2026-05-08 13:56] \"Ann\": \"I live in Oslo.\""},
            {"role": "user", "content": "Where does Ann live?"},
        ]});
        let call = || http().post(format!("{}/chat/completions", server.url)).json(&body);
        assert_eq!(call().send().await.unwrap().status(), 401);
        let answer: Value = call().bearer_auth("sk-dev").send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], "I live in Oslo.");
        server.signal(signal);
        assert!(server.ended().success(), "{}", server.logged);
        assert!(!server.logged.contains("sk-dev"), "{}", server.logged);
    }
}

#[tokio::test]
async fn every_call_suffers_the_faults_of_the_command_line() {
    let home = ContentLocation::new();
    let server = dev_model(&home, &["--fault", "status=429,2", "--fault", "slow=5ms"]);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    for _ in 0..2 {
        let answer =
            http().post(format!("{}/chat/completions", server.url)).json(&body).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (429, &"2".parse().unwrap())
        );
    }
    let calls = format!("{}/dev/calls", server.url.trim_end_matches("/v1"));
    let calls: Value = http().get(calls).send().await.unwrap().json().await.unwrap();
    assert_eq!((&calls["calls"], &calls["charged"]), (&json!(2), &json!(0)));
}

#[test]
fn a_wrong_command_line_says_what_there_is() {
    let home = ContentLocation::new();
    let refused = home.run(&["dev-model", "--fault", "flood"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("there is no fault 'flood'; there are slow=2s, hang"), "{refused:?}");
    assert!(home.run(&["dev-model", "--listen", "0.0.0.0:0"]).failed(2).stderr.contains("127.0.0.1"));
}

/// Nobody shall take it for a language model: whoever uses it has named it.
#[test]
fn nothing_leads_to_it_unasked() {
    let home = ContentLocation::new();
    for args in [&["--help"][..], &["reference", "cli"], &["reference", "settings"]] {
        let told = home.run(args).ok().stdout;
        assert!(!told.contains("dev-model") && !told.contains("dev_model"), "{args:?}: {told}");
    }
    let mut server = home.serve();
    server.signal("TERM");
    server.ended();
    assert!(!server.logged.contains("dev-model"), "{}", server.logged);
}
