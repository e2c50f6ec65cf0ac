use std::net::SocketAddr;

use memcloud_fake_llm::{FakeLlm, Options, StartError};
use serde_json::json;

use crate::client::{Client, json, question};

const KEY: &str = "sk-only-for-this-test";

fn locked() -> Client {
    Client::of(Options { key: Some(KEY.into()), ..Options::default() })
}

#[tokio::test]
async fn the_key_is_the_bearer_or_where_azure_has_it() {
    let client = locked();
    let openai = || client.at("POST", "/v1/chat/completions").json(&question());
    let azure = || {
        let path = "/openai/deployments/mine/chat/completions?api-version=2024-10-21";
        client.at("POST", path).json(&json!({"messages": question()["messages"]}))
    };
    for refused in [
        openai(),
        openai().bearer_auth("another"),
        openai().header("api-key", KEY),
        azure(),
        azure().bearer_auth(KEY),
        client.at("GET", "/v1/models"),
        client.at("POST", "/v1/embeddings").json(&json!({"input": "a"})),
    ] {
        let error = json(refused.send().await.unwrap(), 401).await;
        assert_eq!(error["error"]["code"], "invalid_api_key");
    }
    json(openai().bearer_auth(KEY).send().await.unwrap(), 200).await;
    let answer = json(azure().header("api-key", KEY).send().await.unwrap(), 200).await;
    assert_eq!(answer["model"], "mine");
    json(client.at("GET", "/v1/models").bearer_auth(KEY).send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn the_key_is_nowhere_to_be_read() {
    let client = locked();
    client.call(&question()).bearer_auth(KEY).send().await.unwrap();
    client.call(&question()).send().await.unwrap();
    let calls = client.at("GET", "/dev/calls").send().await.unwrap().text().await.unwrap();
    assert!(!calls.contains(KEY), "{calls}");
    let shown: Vec<bool> = client.model.calls().asked.iter().map(|call| call.authorization).collect();
    assert_eq!(shown, [true, false]);
}

#[tokio::test]
async fn it_listens_on_this_machine_only() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let listen: SocketAddr = address.parse().unwrap();
        let started = FakeLlm::start(Options { listen, ..Options::default() });
        assert!(matches!(started, Err(StartError::Exposed(_))), "{started:?}");
    }
    let taken = FakeLlm::start(Options::default()).unwrap();
    let second = FakeLlm::start(Options { listen: taken.address(), ..Options::default() });
    assert!(matches!(second, Err(StartError::Listen(..))), "{second:?}");
    assert!(taken.url().starts_with("http://127.0.0.1:") && taken.url().ends_with("/v1"), "{}", taken.url());
}

#[test]
fn it_needs_a_runtime() {
    assert!(matches!(FakeLlm::start(Options::default()), Err(StartError::NoRuntime)));
}
