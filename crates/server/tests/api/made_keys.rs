//! Keys that an instance makes: rights, spaces, expiry and revocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use memcloud_domain::{Clock, Timestamp};
use memcloud_instance::{Assembly, Config, Parts};
use memcloud_server::{ApiKeys, router};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::keys::every_route;
use crate::test_instance::{Answer, Instance};

/// A clock that a test moves.
struct MovingClock(AtomicI64);

impl MovingClock {
    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for MovingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Two servers over the same data, with one clock.
struct Servers {
    one: Instance,
    other: Instance,
    clock: Arc<MovingClock>,
}

async fn servers(keys: ApiKeys) -> Servers {
    let directory = tempfile::tempdir().unwrap();
    // 2026-01-01
    let clock = Arc::new(MovingClock(AtomicI64::new(1_767_225_600_000_000)));
    let config = Config { keys, ..Config::in_directory(directory.path()) };
    let engine = config.engines.open(directory.path()).await.unwrap();
    let server = async || {
        let parts = Parts { clock: clock.clone(), ..Parts::of(engine.clone()) };
        router(Assembly::of(parts, &config).await.unwrap().app)
    };
    let other = Instance::of(server().await, tempfile::tempdir().unwrap());
    Servers { one: Instance::of(server().await, directory), other, clock }
}

async fn keyless() -> Servers {
    servers(ApiKeys::none()).await
}

fn environment_key() -> ApiKeys {
    ApiKeys::new(&[SecretString::from("environment-key")]).unwrap()
}

async fn send(instance: &Instance, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("authorization", &bearer)] };
    instance.send(method, path, headers, body.to_string()).await
}

async fn get(instance: &Instance, key: &str, path: &str) -> Answer {
    send(instance, key, "GET", path, &Value::Null).await
}

/// Makes a key, and answers its id and the key.
async fn create(instance: &Instance, by: &str, body: Value) -> (String, String) {
    let created = send(instance, by, "POST", "/v1/keys", &body).await.ok();
    let text = |field: &str| created[field].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

fn admin() -> Value {
    json!({"name": "admin", "rights": ["read", "write", "admin"]})
}

fn stored_in(group: &str, content: &str) -> Value {
    json!({"session": {"group_id": group, "session_id": group, "user_id": ["Ann"]}, "producer": "Ann",
           "produced_for": "", "episode_content": content, "episode_type": "message"})
}

#[tokio::test]
async fn the_first_key_closes_the_instance_and_is_shown_once() {
    let Servers { one, other, clock } = keyless().await;
    get(&one, "", "/v1/sessions").await.ok();
    get(&other, "", "/v1/sessions").await.ok();
    for rights in [json!(["read"]), json!(["read", "write"])] {
        let refused = send(&one, "", "POST", "/v1/keys", &json!({"name": "first", "rights": rights})).await;
        assert_eq!(refused.code(409), "first_key_needs_admin");
    }
    let limited = json!({"name": "first", "rights": ["admin"], "spaces": ["g"]});
    assert_eq!(send(&one, "", "POST", "/v1/keys", &limited).await.code(409), "first_key_needs_admin");
    let (id, key) = create(&one, "", admin()).await;
    assert!(key.starts_with(&format!("mck_{id}_")));
    assert_eq!(get(&one, "", "/v1/sessions").await.code(401), "unauthorized");
    assert_eq!(get(&one, "", "/v1/nothing").await.code(401), "unauthorized");
    get(&one, "", "/health/live").await.ok();
    clock.forward(4);
    assert_eq!(get(&other, "", "/v1/sessions").await.code(401), "unauthorized");
    get(&other, &key, "/v1/sessions").await.ok();
    let listed = get(&one, &key, "/v1/keys").await;
    let secret = key.rsplit('_').next().unwrap();
    assert!(!listed.text.contains(secret) && !listed.text.contains("hash"), "{}", listed.text);
    let listed = &listed.ok()["keys"][0];
    assert_eq!(listed["id"], id);
    assert_eq!(listed["rights"], json!(["read", "write", "admin"]));
    assert_eq!((&listed["spaces"], &listed["expires_at"]), (&Value::Null, &Value::Null));
    assert_eq!((&listed["state"], &listed["created_at"]), (&json!("live"), &json!("2026-01-01T00:00:00Z")));
    assert_eq!(listed["last_used_at"], "2026-01-01T00:00:04Z");
}

#[tokio::test]
async fn the_key_of_a_console_opens_an_instance_and_does_not_close_it() {
    let keys = ApiKeys::none().with_console(&SecretString::from("console-key")).unwrap();
    let Servers { one, .. } = servers(keys).await;
    get(&one, "", "/v1/sessions").await.ok();
    get(&one, "console-key", "/v1/keys").await.ok();
    let (_, key) = create(&one, "console-key", json!({"name": "app", "rights": ["read"]})).await;
    assert_eq!(get(&one, "", "/v1/sessions").await.code(401), "unauthorized");
    get(&one, &key, "/v1/sessions").await.ok();
    get(&one, "console-key", "/v1/keys").await.ok();
}

#[tokio::test]
async fn wrong_secrets_open_nothing() {
    let Servers { one, .. } = keyless().await;
    // Without keys other bearers mean nothing, as before there were any.
    get(&one, "anything", "/v1/sessions").await.ok();
    assert_eq!(get(&one, "mck_0123_4567", "/v1/sessions").await.code(401), "unauthorized");
    let (id, key) = create(&one, "", admin()).await;
    for wrong in [&key[..key.len() - 1], &format!("{key}0"), &format!("mck_{id}_"), &id, "mck_"] {
        assert_eq!(get(&one, wrong, "/v1/sessions").await.code(401), "unauthorized", "{wrong}");
    }
}

#[tokio::test]
async fn every_route_needs_exactly_the_rights_that_it_names() {
    let Servers { one, .. } = servers(environment_key()).await;
    let rights = ["read", "write", "admin"];
    let key_for = async |rights: Vec<&str>| {
        create(&one, "environment-key", json!({"name": "k", "rights": rights})).await.1
    };
    for (method, path, needed) in every_route().into_iter().filter(|(_, _, needed)| !needed.is_empty()) {
        let call = async |key: String| send(&one, &key, method.as_str(), &path, &json!({})).await;
        for missing in &needed {
            let others = rights.into_iter().filter(|right| right != missing).collect();
            let refused = call(key_for(others).await).await;
            assert_eq!(refused.code(403), "forbidden_right", "{method} {path}");
            let body = refused.json();
            // Some routes have OpenAI's shape.
            let detail = body["detail"].as_str().or(body["error"]["message"].as_str()).unwrap().to_owned();
            assert!(detail.contains(&format!("'{missing}'")), "{method} {path}: {detail}");
        }
        let enough = call(key_for(needed.iter().map(String::as_str).collect()).await).await;
        assert!(enough.status != 401 && enough.status != 403, "{method} {path}: {}", enough.text);
    }
}

#[tokio::test]
async fn a_key_opens_its_own_spaces_only() {
    let Servers { one, .. } = servers(environment_key()).await;
    for (group, content) in [("own", "a red balloon"), ("foreign", "a blue balloon")] {
        send(&one, "environment-key", "POST", "/v1/memories", &stored_in(group, content)).await.ok();
        send(&one, "environment-key", "POST", "/v1/memories/profile", &stored_in(group, content)).await.ok();
    }
    let all = json!({"name": "k", "rights": ["read", "write", "admin"], "spaces": ["own"]});
    let (_, key) = create(&one, "environment-key", all).await;
    let bearer = format!("Bearer {key}");
    for (method, path, _) in every_route() {
        // Names the foreign group in every place where a route may look for one.
        let body = json!({
            "session": {"group_id": "foreign", "session_id": "foreign", "user_id": ["Ann"]},
            "episode_content": "x", "query": "balloon", "name": "k", "rights": ["read"], "spaces": ["foreign"],
            "episodes": [{"episode_content": "x"}], "messages": [{"role": "user", "content": "hello"}],
        });
        let headers =
            [("authorization", bearer.as_str()), ("group-id", "foreign"), ("x-memory-group", "foreign")];
        let path = path.replace("/groups/0190a0a0-0000-7000-8000-000000000000", "/groups/foreign");
        let path = path.replace("/profile/0190a0a0-0000-7000-8000-000000000000", "/profile/1");
        let takes_parameters = method != "DELETE" || !path.ends_with("/v1/memories");
        let named = if takes_parameters { format!("{path}?group_id=foreign") } else { path.clone() };
        // These refuse what they do not know.
        let body = match (method.as_str(), path.as_str()) {
            ("POST", "/v1/keys") => json!({"name": "k", "rights": ["read"], "spaces": ["foreign"]}),
            ("DELETE", _) if takes_parameters => json!({}),
            ("POST", path) if path.ends_with("/queue/retry") => json!({}),
            ("DELETE", _) => json!({"session": body["session"]}),
            _ => body,
        };
        let answer = one.send(method.as_str(), &named, &headers, body.to_string()).await;
        assert!(!answer.text.contains("blue"), "{method} {path}: {}", answer.text);
        let reads_a_group = path.contains("/memories") || path.contains("/groups/");
        if reads_a_group || (method == "POST" && path == "/v1/keys") {
            assert_eq!(answer.code(403), "forbidden_space", "{method} {path}");
            assert!(answer.text.contains("'foreign'"), "{method} {path}: {}", answer.text);
        }
    }
    let sessions = get(&one, &key, "/v1/sessions").await.ok();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{sessions}");
    let of_ann = get(&one, &key, "/v1/users/Ann/sessions").await.ok();
    assert_eq!(of_ann["sessions"][0]["group_id"], "own");
    assert_eq!(of_ann["sessions"].as_array().unwrap().len(), 1, "{of_ann}");
    assert_eq!(get(&one, &key, "/v1/memories/profile/queue").await.ok()["waiting"], 1);
    assert_eq!(get(&one, "environment-key", "/v1/memories/profile/queue").await.ok()["waiting"], 2);
    let own = json!({"group_id": "own", "session_id": "own", "user_id": ["Ann"]});
    let search = json!({"session": own, "query": "balloon"});
    let found = send(&one, &key, "POST", "/v1/memories/search", &search).await;
    assert!(found.text.contains("red") && !found.text.contains("blue"), "{}", found.text);
}

#[tokio::test]
async fn a_limited_admin_manages_no_more_than_its_spaces() {
    let Servers { one, .. } = servers(environment_key()).await;
    let root = "environment-key";
    let (_, limited) =
        create(&one, root, json!({"name": "l", "rights": ["admin"], "spaces": ["a", "b"]})).await;
    let (all, _) = create(&one, root, json!({"name": "all", "rights": ["read"]})).await;
    let (other, _) = create(&one, root, json!({"name": "c", "rights": ["read"], "spaces": ["a", "c"]})).await;
    let new = |spaces: Value| json!({"name": "n", "rights": ["read", "write"], "spaces": spaces});
    for spaces in [Value::Null, json!(["c"]), json!(["a", "c"])] {
        let refused = send(&one, &limited, "POST", "/v1/keys", &new(spaces)).await;
        assert_eq!(refused.code(403), "forbidden_space");
    }
    let (own, own_key) = create(&one, &limited, new(json!(["a"]))).await;
    let listed = get(&one, &limited, "/v1/keys").await.ok();
    let mut names: Vec<_> =
        listed["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["l", "n"]);
    for foreign in [all, other] {
        let refused = send(&one, &limited, "DELETE", &format!("/v1/keys/{foreign}"), &Value::Null).await;
        assert_eq!(refused.code(404), "not_found");
    }
    send(&one, &limited, "DELETE", &format!("/v1/keys/{own}"), &Value::Null).await.ok();
    assert_eq!(get(&one, &own_key, "/v1/sessions").await.code(401), "key_revoked");
}

#[tokio::test]
async fn a_key_ends_with_its_time() {
    let Servers { one, clock, .. } = keyless().await;
    let (_, admin) = create(&one, "", admin()).await;
    clock.forward(1);
    let brief = json!({"name": "brief", "rights": ["read"], "expires_at": "2026-01-01T01:00:00Z"});
    let (id, brief) = create(&one, &admin, brief).await;
    clock.forward(3_598);
    get(&one, &brief, "/v1/sessions").await.ok();
    clock.forward(1);
    let refused = get(&one, &brief, "/v1/sessions").await;
    assert_eq!(refused.code(401), "key_expired");
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    let listed = get(&one, &admin, "/v1/keys").await.ok();
    assert_eq!((&listed["keys"][1]["id"], &listed["keys"][1]["state"]), (&json!(id), &json!("expired")));
    // Long after its end it is no longer listed, nor known.
    clock.forward(100 * 86_400);
    create(&one, &admin, json!({"name": "later", "rights": ["read"]})).await;
    assert_eq!(get(&one, &admin, "/v1/keys").await.ok()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(get(&one, &brief, "/v1/sessions").await.code(401), "unauthorized");
}

#[tokio::test]
async fn openai_clients_read_why_a_key_does_not_count() {
    let Servers { one, clock, .. } = keyless().await;
    let (_, admin) = create(&one, "", admin()).await;
    let brief = json!({"name": "brief", "rights": ["read", "write"], "expires_at": "2026-01-01T01:00:00Z"});
    let (_, expired) = create(&one, &admin, brief).await;
    let (id, revoked) = create(&one, &admin, json!({"name": "k", "rights": ["read", "write"]})).await;
    send(&one, &admin, "DELETE", &format!("/v1/keys/{id}"), &Value::Null).await.ok();
    clock.forward(3_600);
    for (method, path) in [("POST", "/v1/chat/completions"), ("GET", "/v1/models")] {
        for (key, code, reason) in [
            ("", "unauthorized", "this needs an API key: send one"),
            ("mck_0123_4567", "unauthorized", "this key is not known: send one"),
            (&expired, "key_expired", "this key has expired: use another key"),
            (&revoked, "key_revoked", "this key was revoked: use another key"),
        ] {
            let refused = send(&one, key, method, path, &json!({})).await;
            assert_eq!((refused.status.as_u16(), &*refused.openai_code()), (401, code), "{path}");
            let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.starts_with(reason), "{path}: {message}");
            assert_eq!(refused.headers["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test]
async fn the_last_key_to_expire_leaves_the_instance_to_its_machine() {
    let Servers { one, clock, .. } = keyless().await;
    let brief = json!({"name": "brief", "rights": ["admin"], "expires_at": "2026-01-02"});
    let (_, brief) = create(&one, "", brief).await;
    assert_eq!(get(&one, "", "/v1/sessions").await.code(401), "unauthorized");
    clock.forward(86_400);
    get(&one, "", "/v1/sessions").await.ok();
    assert_eq!(get(&one, &brief, "/v1/sessions").await.code(401), "key_expired");
}

#[tokio::test]
async fn a_revocation_counts_at_once_here_and_soon_elsewhere() {
    let Servers { one, other, clock } = keyless().await;
    let (_, admin) = create(&one, "", admin()).await;
    let (id, key) = create(&one, &admin, json!({"name": "k", "rights": ["read"]})).await;
    for server in [&one, &other] {
        get(server, &key, "/v1/sessions").await.ok();
    }
    let path = format!("/v1/keys/{id}");
    let revoked = send(&one, &admin, "DELETE", &path, &Value::Null).await.ok();
    assert_eq!((&revoked["state"], &revoked["id"]), (&json!("revoked"), &json!(id)));
    assert_eq!(get(&one, &key, "/v1/sessions").await.code(401), "key_revoked");
    clock.forward(3);
    assert_eq!(get(&other, &key, "/v1/sessions").await.code(401), "key_revoked");
    let again = send(&one, &admin, "DELETE", &path, &Value::Null).await.ok();
    assert_eq!(again["revoked_at"], revoked["revoked_at"], "it stays revoked from the first time on");
    let unknown = send(&one, &admin, "DELETE", "/v1/keys/unknown", &Value::Null).await;
    assert_eq!(unknown.code(404), "not_found");
}

#[tokio::test]
async fn the_last_key_that_manages_keys_is_revoked_last() {
    let Servers { one, .. } = keyless().await;
    let (first, admin) = create(&one, "", admin()).await;
    let (reader, _) = create(&one, &admin, json!({"name": "r", "rights": ["read"]})).await;
    let revoke = async |id: &str| send(&one, &admin, "DELETE", &format!("/v1/keys/{id}"), &Value::Null).await;
    assert_eq!(revoke(&first).await.code(409), "last_admin_key");
    revoke(&reader).await.ok();
    revoke(&first).await.ok();
    // Without any live key the instance serves its own machine again.
    get(&one, "", "/v1/sessions").await.ok();
}

#[tokio::test]
async fn keys_of_the_settings_manage_made_keys() {
    let Servers { one, .. } = servers(environment_key()).await;
    let (id, key) = create(&one, "environment-key", json!({"name": "r", "rights": ["read"]})).await;
    get(&one, &key, "/v1/sessions").await.ok();
    let path = format!("/v1/keys/{id}");
    assert_eq!(send(&one, &key, "DELETE", &path, &Value::Null).await.code(403), "forbidden_right");
    send(&one, "environment-key", "DELETE", &path, &Value::Null).await.ok();
    assert_eq!(get(&one, "", "/v1/sessions").await.code(401), "unauthorized");
}

#[tokio::test]
async fn bad_keys_are_not_made() {
    let Servers { one, .. } = keyless().await;
    let long = "n".repeat(201);
    for (wrong, place, code) in [
        (json!({"name": null}), json!(["body", "name"]), "wrong_type"),
        (json!({"name": " "}), json!(["body", "name"]), "unnamed_key"),
        (json!({"name": long}), json!(["body", "name"]), "name_too_long"),
        (json!({"name": "a\u{1b}b"}), json!(["body", "name"]), "control_character"),
        (json!({"rights": []}), json!(["body", "rights"]), "no_rights"),
        (json!({"rights": ["read", "owner"]}), json!(["body", "rights", 1]), "unknown_right"),
        (json!({"spaces": []}), json!(["body", "spaces"]), "no_spaces"),
        (json!({"spaces": [3]}), json!(["body", "spaces", 0]), "wrong_type"),
        (json!({"expires_at": "soon"}), json!(["body", "expires_at"]), "invalid_time"),
        (json!({"space": ["acme"]}), json!(["body", "space"]), "unknown_field"),
        (json!({"expires": "2030-12-31"}), json!(["body", "expires"]), "unknown_field"),
        (json!({"expires_at": "2025-12-31"}), json!(["body", "expires_at"]), "expiry_in_the_past"),
    ] {
        let mut body = admin();
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let refused = send(&one, "", "POST", "/v1/keys", &body).await;
        assert_eq!(refused.code(422), code, "{body}");
        assert_eq!(refused.json()["detail"][0]["loc"], place, "{body}");
    }
    assert_eq!(one.send("GET", "/v1/keys", &[], Body::empty()).await.ok(), json!({"keys": []}));
}
