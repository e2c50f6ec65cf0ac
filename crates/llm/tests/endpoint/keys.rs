//! Addresses and keys: where a key is sent, and where it is never shown.

use std::time::Duration;

use memcloud_domain::with_causes;
use memcloud_llm::{BadEndpoint, ChatModel, Endpoint, RemoteEmbedder, Timeouts};
use memcloud_ports::{Embedder, LanguageModel, ModelError};

use crate::server::{self, Act, Server, chunk, end, stream_head, whole};
use crate::{KEY, PATIENCE, all, call, endpoint, endpoint_at, model, stream};

fn at(address: &str, key: Option<&str>) -> Result<Endpoint, BadEndpoint> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Endpoint::new(address, key.map(Into::into), Timeouts::default())
}

/// The request that a server receives at this base address.
async fn asked(base: &str, key: &str) -> server::Received {
    let mut server = Server::start([whole("503 No", "text/plain", "no")]).await;
    let endpoint = at(&server.url(base), Some(key)).unwrap();
    drop(ChatModel::new(endpoint, "small").send(&call(false)).await);
    server.asked().await
}

#[tokio::test]
async fn operations_are_below_the_base_address_and_before_its_query() {
    let azure = "/openai/deployments/mine";
    for (base, path) in [
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("", "/chat/completions"),
        ("/", "/chat/completions"),
        ("/v1#here", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/embeddings", "/v1/chat/completions"),
        ("/a%20b/v1?x=1&y=%26", "/a%20b/v1/chat/completions?x=1&y=%26"),
        (
            &format!("{azure}?api-version=2024-10-21"),
            "/openai/deployments/mine/chat/completions?api-version=2024-10-21",
        ),
        (
            &format!("{azure}/chat/completions?api-version=2024-10-21"),
            "/openai/deployments/mine/chat/completions?api-version=2024-10-21",
        ),
    ] {
        assert_eq!(asked(base, KEY).await.line, format!("POST {path} HTTP/1.1"), "{base}");
    }
}

#[tokio::test]
async fn azure_gets_the_key_in_its_own_header() {
    let request = asked("/openai/deployments/mine?api-version=2024-10-21", KEY).await;
    assert_eq!((request.header("api-key"), request.header("authorization")), (Some(KEY), None));
    let request = asked("/v1", KEY).await;
    let bearer = format!("Bearer {KEY}");
    assert_eq!((request.header("api-key"), request.header("authorization")), (None, Some(&*bearer)));
}

/// No test can serve such a host, so this reads the header from the debug output.
#[test]
fn azure_is_recognized_by_its_hosts() {
    for (host, azure) in [
        ("mine.openai.azure.com", true),
        ("MINE.OpenAI.Azure.com", true),
        ("mine.services.ai.azure.com", true),
        ("mine.openai.azure.us", true),
        ("mine.westeurope.inference.ml.azure.com", false),
        ("azure.com.example", false),
        ("notazure.com", false),
    ] {
        let endpoint = at(&format!("https://{host}/openai/v1"), Some(KEY)).unwrap();
        assert_eq!(format!("{endpoint:?}").contains("[key] in api-key"), azure, "{host}");
    }
}

#[tokio::test]
async fn a_key_is_trimmed_and_an_empty_key_counts_as_none() {
    let request = asked("/v1", " key-from-a-file\r\n").await;
    assert_eq!(request.header("authorization"), Some("Bearer key-from-a-file"));
    assert_eq!(asked("/v1", " \n").await.header("authorization"), None);
    assert!(!at("http://127.0.0.1/v1", Some("")).unwrap().has_key());
}

#[test]
fn bad_addresses_and_keys_are_refused_without_being_shown() {
    for address in [
        "",
        "api.example.com/v1",
        "ftp://sesame@api.example.com/v1",
        "https://",
        "https://:80/sesame",
        "https://sesame@api.example.com/v1",
        "https://user:sesame@api.example.com/v1",
        "https://:sesame@api.example.com/v1",
        "sesame://api.example.com",
        "https://api.example.com:sesame/v1",
        "file:///sesame",
    ] {
        let bad = at(address, None).unwrap_err();
        assert!(!format!("{bad:?} {bad}").contains("sesame"), "{address}: {bad:?}");
        assert!(!bad.what.is_empty() && !bad.hint.is_empty());
    }
    for key in ["open\nsesame", "open\u{7f}sesame", "sesame\u{f6}ffne"] {
        let bad = at("https://api.example.com/v1", Some(key)).unwrap_err();
        assert!(!format!("{bad:?} {bad}").contains("sesame"), "{key:?}: {bad:?}");
    }
}

#[test]
fn an_address_is_shown_without_its_query() {
    let endpoint = at(" https://api.example.com/v1/?code=sesame ", None).unwrap();
    assert_eq!(endpoint.address(), "https://api.example.com/v1");
    assert!(!format!("{endpoint:?}").contains("sesame"));
}

#[test]
fn a_key_that_would_be_sent_unencrypted_is_reported() {
    for (address, key, exposed) in [
        ("http://api.example.com/v1", Some(KEY), true),
        ("http://192.168.1.4/v1", Some(KEY), true),
        ("http://[fe80::1]/v1", Some(KEY), true),
        ("http://localhost.example.com/v1", Some(KEY), true),
        ("http://api.example.com/v1", None, false),
        ("https://api.example.com/v1", Some(KEY), false),
        ("http://127.0.0.1:11434/v1", Some(KEY), false),
        ("http://127.9.9.9/v1", Some(KEY), false),
        ("http://[::1]/v1", Some(KEY), false),
        ("http://[::ffff:127.0.0.1]/v1", Some(KEY), false),
        ("http://LOCALHOST:8080/v1", Some(KEY), false),
        ("http://model.localhost/v1", Some(KEY), false),
    ] {
        assert_eq!(at(address, key).unwrap().exposes_key(), exposed, "{address}");
    }
}

/// An error with all its causes, as shown to people and to programmers.
fn shown(error: &(impl std::error::Error + 'static)) -> String {
    format!("{error:?} {}", with_causes(error))
}

#[tokio::test]
async fn no_error_shows_a_key_that_the_endpoint_repeats() {
    let text = format!(r#"{{"error":{{"message":"wrong key: {KEY}, {KEY}"}}}}"#);
    let said = format!("wrong key: {KEY}{KEY}");
    for reply in [
        whole("401 No", "application/json", &text),
        whole("401 No", &format!("text/plain; key={KEY}"), &said),
        server::json(&text),
        server::json(&said),
        server::json(format!("{{\"a\": \"{KEY}\"")),
        server::json(format!(r#"{{"choices": "{KEY}"}}"#)),
        vec![server::send(format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{KEY}"))],
        vec![server::send(format!("{KEY}\r\n\r\n"))],
        vec![],
    ] {
        let server = Server::start([reply]).await;
        let error = crate::whole(&model(&server)).await.unwrap_err();
        assert!(!shown(&error).contains(KEY), "{error:?}");
        if let ModelError::Refused(refusal) = error {
            assert!(refusal.message().contains("wrong key: [key]"), "{}", refusal.message());
            assert!(!refusal.body.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()));
        }
    }
}

#[tokio::test]
async fn no_error_of_a_stream_or_an_embedding_shows_the_key() {
    let events = [
        format!("data: {{\"error\": \"{KEY}\"}}\n\n"),
        format!("event: error\ndata: {KEY}\n\n"),
        format!("data: {KEY}\n\n"),
    ];
    for event in events {
        let server = Server::start([vec![stream_head(), chunk(event), end()]]).await;
        let (_, failed) = all(stream(&model(&server)).await).await;
        assert!(!shown(&failed.unwrap()).contains(KEY));
    }
    for reply in [
        whole("401 No", "text/plain", KEY),
        server::json(format!(r#"{{"data": "{KEY}"}}"#)),
        server::json(format!(r#"{{"data": [{{"embedding": ["{KEY}"]}}]}}"#)),
        server::json(format!(r#"{{"error": "{KEY}"}}"#)),
    ] {
        let server = Server::start([reply]).await;
        let error = RemoteEmbedder::connect(endpoint(&server), "small", None).await.unwrap_err();
        assert!(!shown(&error).contains(KEY), "{error:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_a_plain_word_is_not_removed_from_messages() {
    let server = Server::start([whole("404 No", "text/plain", "ollama has no such model")]).await;
    let endpoint = at(&server.url("/v1"), Some("ollama")).unwrap();
    let refusal = crate::refused(crate::whole(&ChatModel::new(endpoint, "small")).await);
    assert_eq!(refusal.message(), "ollama has no such model");
}

#[tokio::test]
async fn debug_output_never_shows_the_key() {
    let server = Server::start([]).await;
    let endpoint = endpoint(&server);
    let embedder = RemoteEmbedder::assume(endpoint.clone(), "small", 3);
    assert_eq!(embedder.dimensions(), 3);
    for shown in [format!("{endpoint:?}"), format!("{:?}", model(&server)), format!("{embedder:#?}")] {
        assert!(shown.contains(&server.port().to_string()) && !shown.contains(KEY), "{shown}");
    }
}

#[tokio::test]
async fn errors_never_show_the_query() {
    let silence = Duration::from_millis(200);
    for reply in [vec![], vec![Act::Hang], server::json("no"), vec![stream_head(), chunk("data: {")]] {
        let server = Server::start([reply]).await;
        let endpoint = endpoint_at(&server.url("/v1?code=sesame"), silence);
        let error = match ChatModel::new(endpoint, "small").send(&call(true)).await {
            Ok(memcloud_ports::ModelAnswer::Stream(deltas)) => all(deltas).await.1.unwrap(),
            Ok(memcloud_ports::ModelAnswer::Whole(whole)) => panic!("{whole:?}"),
            Err(error) => error,
        };
        assert!(!shown(&error).contains("sesame"), "{error:?}");
    }
    let gone = Server::start([]).await.url("/v1?code=sesame");
    let error = crate::whole(&ChatModel::new(endpoint_at(&gone, PATIENCE), "small")).await.unwrap_err();
    assert!(!shown(&error).contains("sesame"), "{error:?}");
}

/// Runs another test in a process whose environment names a proxy that does not exist.
#[test]
fn no_proxy_is_used_on_this_machine() {
    let test = "chats::bodies_and_answers_are_passed_on_unchanged";
    let ran = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .envs(["HTTP_PROXY", "http_proxy", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}
