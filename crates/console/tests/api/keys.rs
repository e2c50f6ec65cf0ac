//! Keys of a real instance.

use memcloud_control::{InstanceChange, InstanceId, InstanceStore, State};
use memcloud_domain::Clock;
use memcloud_http::{ServeOptions, serve};
use memcloud_instance::{Assembly, Config, Parts};
use memcloud_server::ApiKeys;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::test_console::Console;

/// Serves an instance of the console with the key that the console made for it.
async fn served(console: &Console, id: &str) {
    // The first test installs it. The client of the instance needs one, also without TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let id: InstanceId = id.parse().unwrap();
    let key = console.secrets.settings(&id).await.unwrap().key;
    let data = console.directory.path().join("instance");
    let config = Config { keys: ApiKeys::new(&[key.into()]).unwrap(), ..Config::in_directory(&data) };
    let engine = config.engines.open(&data).await.unwrap();
    let assembly = Assembly::of(Parts { embedder: None, ..Parts::of(engine) }, &config).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = console.stop.clone();
    let router = memcloud_server::router(assembly.app);
    console.tasks.spawn("instance", |_| async move {
        serve(listener, router, ServeOptions::default(), async move { stop.cancelled().await })
            .await
            .unwrap();
    });
    let change =
        InstanceChange { url: Some(url), state: Some((State::Running, None)), ..InstanceChange::default() };
    console.store.change_instance(&id, &change, console.clock.now()).await.unwrap();
}

#[tokio::test]
async fn keys_are_made_shown_once_listed_and_revoked() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let id = console.made(&token, "own").await;
    let keys = format!("/api/instances/{id}/keys");
    assert_eq!(console.get(&token, &keys).await.code(409), "wrong_state", "it has no address yet");
    served(&console, &id).await;
    let new = json!({"name": "app", "rights": ["read", "write"]});
    let made = console.call(&token, "POST", &keys, &new).await.ok();
    let (secret, key) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    let listed = console.get(&token, &keys).await;
    assert_eq!(listed.ok()["keys"][0]["id"], key);
    assert!(!listed.text.contains(secret));
    let path = format!("{keys}/{key}");
    let revoke = async |path: &str| console.call(&token, "DELETE", path, &Value::Null).await;
    let later = revoke(&format!("{path}?revoke_at=2199-01-31")).await.ok();
    assert_eq!(later["state"], "live", "it overlaps with the key that replaces it");
    assert_eq!(revoke(&format!("{path}?revoke_at=2001-01-31")).await.code(422), "time_in_the_past");
    assert_eq!(revoke(&format!("{path}?at=2199-01-31")).await.code(422), "unknown_field");
    assert_eq!(revoke(&path).await.ok()["state"], "revoked");
    assert_eq!(revoke(&format!("{keys}/0123456789ab")).await.code(404), "instance_refused");
    assert_eq!(revoke(&format!("{keys}/..%2Fx")).await.code(404), "not_found");
    let audit = console.audit().await;
    assert!(
        audit
            .iter()
            .any(|(_, action, subject, _)| action == "create key" && *subject == format!("own/{key}"))
    );
    assert!(
        audit
            .iter()
            .any(|(_, action, subject, _)| action == "revoke key" && *subject == format!("own/{key}"))
    );
}

#[tokio::test]
async fn what_an_instance_refuses_is_passed_on_with_its_hint() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let id = console.made(&token, "own").await;
    served(&console, &id).await;
    let keys = format!("/api/instances/{id}/keys");
    let new = json!({"name": "app", "rights": ["everything"]});
    let answer = console.call(&token, "POST", &keys, &new).await;
    assert_eq!(answer.code(422), "instance_refused");
    assert!(answer.json()["hint"].as_str().unwrap().contains("'admin'"), "{}", answer.text);
    let unknown = json!({"name": "app", "rights": ["read"], "right": "admin"});
    assert_eq!(console.call(&token, "POST", &keys, &unknown).await.code(422), "unknown_field");
    let closed = InstanceChange { url: Some("http://127.0.0.1:9".into()), ..InstanceChange::default() };
    console.store.change_instance(&id.parse().unwrap(), &closed, console.clock.now()).await.unwrap();
    let answer = console.get(&token, &keys).await;
    assert_eq!(answer.code(503), "instance_unreachable");
    assert!(answer.headers.contains_key("retry-after"));
}
