//! Every operation, against a real instance on a socket.
#![expect(clippy::disallowed_methods, reason = "a test serves its own instance")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::sync::LazyLock;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use axum::response::IntoResponse;
use memcloud_api::Integer;
use memcloud_api::memmachine_v1::{ForgetSession, NewEpisode, SearchQuery, Session};
use memcloud_api::native::{ChatRequest, DeleteSession, DeleteUser, NewKey, SpaceChanges};
use memcloud_client::{
    ChatEvent, Client, Error, FactQuery, ListQuery, SessionsOf, SessionsQuery, SpacesQuery,
};
use memcloud_fake_llm::{FakeLlm, Options};
use memcloud_instance::{Config, Instance, Llm, LlmOptions};
use memcloud_llm::{Endpoint, Timeouts};
use memcloud_test_document::{Answer, Document};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running instance without models. It stops when dropped.
struct Served {
    client: Client,
    _stop: oneshot::Sender<()>,
    _dir: TempDir,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(&memcloud_server::openapi_json()));

/// The address of a server that passes requests on to this one, and checks that the document describes the answers.
async fn checked(url: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass_on).with_state(url)).await });
    format!("http://{address}")
}

async fn pass_on(State(url): State<String>, request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method, parts.uri.path_and_query().unwrap().as_str());
    let request = reqwest::Client::new().request(method.clone(), url + path).headers(parts.headers);
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let answer = request.body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let content_type = headers.get(CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
    DOCUMENT.check(Answer {
        method: method.as_str(),
        path,
        status: status.as_u16(),
        content_type,
        text: &text,
    });
    headers.remove(TRANSFER_ENCODING);
    (status, headers, text)
}

async fn serve() -> Served {
    serve_with(None).await
}

async fn serve_with(model: Option<&FakeLlm>) -> Served {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let llm = model.map(|model| Llm {
        endpoint: Endpoint::new(&model.url(), None, Timeouts::default()).unwrap(),
        model: "fake-llm".into(),
        options: LlmOptions::default(),
    });
    let dir = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config { llm, ..Config::in_directory(dir.path()) };
    let instance = Instance::open(&config, listener, &mut |_| {}).await.unwrap();
    let client = Client::new(&checked(instance.url()).await, None).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        instance.serve(stopped).await.unwrap();
    });
    Served { client, _stop: stop, _dir: dir }
}

fn session(group: &str, name: &str) -> Session {
    Session {
        group_id: group.into(),
        session_id: name.into(),
        user_id: Some(vec!["ann".into()]),
        agent_id: Some(vec!["bot".into()]),
    }
}

fn said(group: &str, text: &str) -> NewEpisode {
    NewEpisode {
        session: Some(session(group, "s")),
        producer: "ann".into(),
        episode_content: text.into(),
        ..NewEpisode::default()
    }
}

fn question(group: &str) -> SearchQuery {
    SearchQuery {
        session: Some(session(group, "s")),
        query: "Where is the key?".into(),
        limit: Some(Integer(5)),
        ..SearchQuery::default()
    }
}

fn status<T: std::fmt::Debug>(answer: Result<T, Error>) -> u16 {
    answer.unwrap_err().refusal().unwrap().status
}

#[tokio::test]
async fn messages_are_stored_found_listed_and_deleted() {
    let Served { client, .. } = &serve().await;
    let stored = client.store(&said("home", "The key is under the pot.")).await.unwrap();
    assert_eq!(client.search(&question("home")).await.unwrap().len(), 1);
    let (newest, _, _) = client.search_all(&question("home")).await.unwrap().episodic_memory.unwrap();
    assert_eq!(newest.len(), 1);
    let query = ListQuery { group_id: "home".into(), limit: 10, ..ListQuery::default() };
    assert_eq!(client.list(&query).await.unwrap().episodes[0].id, stored.id);
    assert_eq!(client.episode("home", stored.id).await.unwrap().episode.producer_id, "ann");
    assert_eq!(client.delete("home", stored.id).await.unwrap().deleted, 1);
    assert_eq!(status(client.delete("home", stored.id).await), 404);
    client.store(&said("home", "Rain today.")).await.unwrap();
    let whole = ForgetSession { session: Some(session("home", "s")) };
    assert_eq!(client.forget_session(&whole).await.unwrap().deleted, 1);
    assert!(client.list(&query).await.unwrap().episodes.is_empty());
}

#[tokio::test]
async fn sessions_are_listed_by_group_user_and_agent() {
    let Served { client, .. } = &serve().await;
    client.store(&said("a/b c", "hello")).await.unwrap();
    let page = SessionsQuery::default();
    let all = client.sessions(&SessionsOf::Everyone, &page).await.unwrap();
    assert_eq!(all.sessions.len(), 1);
    assert_eq!(client.sessions(&SessionsOf::Group("a/b c".into()), &page).await.unwrap(), all);
    assert_eq!(client.sessions(&SessionsOf::User("ann".into()), &page).await.unwrap(), all);
    assert_eq!(client.sessions(&SessionsOf::Agent("bot".into()), &page).await.unwrap(), all);
    assert!(client.sessions(&SessionsOf::Agent("ann".into()), &page).await.unwrap().sessions.is_empty());
}

#[tokio::test]
async fn sessions_and_users_are_deleted() {
    let Served { client, .. } = &serve().await;
    client.store(&said("home", "The key is under the pot.")).await.unwrap();
    let session = DeleteSession { group_id: "home".into(), session_id: "s".into() };
    assert_eq!(client.delete_session(&session).await.unwrap().deleted, 1);
    assert_eq!(status(client.delete_session(&session).await), 404);
    client.store(&said("home", "Rain today.")).await.unwrap();
    let user = DeleteUser { group_id: "home".into(), user_id: "ann".into() };
    assert_eq!(client.delete_user(&user).await.unwrap().deleted, 1);
    assert_eq!(status(client.delete_user(&user).await), 404);
    let page = SessionsQuery::default();
    let left = client.sessions(&SessionsOf::Group("home".into()), &page).await.unwrap().sessions;
    assert_eq!((left[0].user_ids.len(), left[0].agent_ids.as_slice()), (0, &["bot".to_owned()][..]));
}

#[tokio::test]
async fn spaces_are_listed_described_configured_and_deleted() {
    let Served { client, .. } = &serve().await;
    for group in ["one", "two", "with/slash"] {
        client.store(&said(group, "hello")).await.unwrap();
    }
    let first = client.spaces(&SpacesQuery { limit: Some(2), cursor: None }).await.unwrap();
    let rest = client.spaces(&SpacesQuery { cursor: first.next_cursor.clone(), limit: None }).await.unwrap();
    let names: Vec<_> = first.spaces.iter().chain(&rest.spaces).map(|space| space.project.as_str()).collect();
    assert_eq!((names, rest.next_cursor), (vec!["one", "two", "with/slash"], None));
    let changes = SpaceChanges { description: Some("notes".into()), learns: Some(false) };
    let changed = client.configure_space("universal", "with/slash", &changes).await.unwrap();
    assert_eq!(client.space("universal", "with/slash").await.unwrap(), changed);
    assert_eq!((changed.episodes, changed.space.learns), (1, false));
    assert_eq!(client.delete_space("universal", "one").await.unwrap().space.state, "deleting");
    assert_eq!(status(client.space("universal", "none").await), 404);
}

#[tokio::test]
async fn facts_and_their_queue_answer_without_a_model() {
    let Served { client, .. } = &serve().await;
    client.store(&said("home", "I like plums.")).await.unwrap();
    let query = FactQuery { group_id: "home".into(), ..FactQuery::default() };
    assert!(client.facts(&query).await.unwrap().facts.is_empty());
    let then = FactQuery { user_id: Some("ann".into()), as_of: Some("yesterday".into()), ..query };
    assert_eq!(status(client.facts(&then).await), 422);
    assert!(client.search_facts(&question("home")).await.unwrap().is_empty());
    assert_eq!(status(client.delete_fact("home", 1).await), 404);
    let waiting = client.profile_queue(Some("home")).await.unwrap();
    assert_eq!(
        (waiting.learning, waiting.waiting),
        (false, client.profile_queue(None).await.unwrap().waiting)
    );
    assert_eq!(client.profile_queue(Some("other")).await.unwrap().waiting, 0);
    assert_eq!(client.retry_parked(Some("home")).await.unwrap().retried, 0);
}

#[tokio::test]
async fn health_and_usage_describe_the_instance() {
    let Served { client, .. } = &serve().await;
    assert_eq!(client.live().await.unwrap().status, "alive");
    assert!(client.ready().await.unwrap().parts.iter().all(|part| part.works));
    let health = client.health().await.unwrap();
    assert_eq!((&*health.service, health.memory_managers.profile_memory), ("memcloud", false));
    assert!(client.metrics().await.unwrap().contains("memcloud_"));
    let error = client.usage().await.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!((refusal.status, refusal.code.as_str()), (503, "no_model"));
    assert!(refusal.hint.is_some() && refusal.request_id.is_some(), "{refusal:?}");
}

#[tokio::test]
async fn a_turn_is_answered_whole_and_in_parts() {
    let model = FakeLlm::start(Options::default()).unwrap();
    let Served { client, .. } = &serve_with(Some(&model)).await;
    client.store(&said("home", "The key is under the pot.")).await.unwrap();
    let turn = ChatRequest {
        session: Some(session("home", "s")),
        messages: vec![json!({"role": "user", "content": "Where is the key?"})],
        ..ChatRequest::default()
    };
    let whole = client.chat(&turn).await.unwrap();
    assert_eq!((whole.context.memories.len(), whole.content.is_empty()), (1, false));
    let mut events = client.chat_stream(&turn).await.unwrap();
    let ChatEvent::Memories(context) = events.next().await.unwrap() else { panic!("memories come first") };
    assert_eq!(context.memories[0].content, "The key is under the pot.");
    let mut said = String::new();
    let end = loop {
        match events.next().await.unwrap() {
            ChatEvent::Delta(part) => said += &part,
            ChatEvent::Done(end) => break end,
            ChatEvent::Memories(_) => panic!("memories come once"),
        }
    };
    assert!(!said.is_empty() && end.assistant_message.is_some(), "{said} {end:?}");
    let mut broken = turn.clone();
    broken.messages.clear();
    assert_eq!(status(client.chat(&broken).await), 422);
}

#[tokio::test]
async fn a_made_key_opens_what_it_permits() {
    let Served { client, .. } = &serve().await;
    let rights = |rights: &[&str]| rights.iter().map(|&right| right.into()).collect();
    let admin = NewKey { name: "root".into(), rights: rights(&["admin"]), ..NewKey::default() };
    let admin = client.create_key(&admin).await.unwrap();
    let with = |key: String| Client::new(client.url(), Some(key.into())).unwrap();
    let root = with(admin.key);
    let reader = NewKey { name: "reader".into(), rights: rights(&["read"]), ..NewKey::default() };
    let reader = root.create_key(&reader).await.unwrap();
    assert_eq!(root.keys().await.unwrap().keys.len(), 2);
    let (id, reader) = (reader.about.id, with(reader.key));
    reader.sessions(&SessionsOf::Everyone, &SessionsQuery::default()).await.unwrap();
    assert_eq!(status(reader.store(&said("home", "hello")).await), 403);
    root.revoke_key(&id).await.unwrap();
    assert_eq!(status(reader.sessions(&SessionsOf::Everyone, &SessionsQuery::default()).await), 401);
}
