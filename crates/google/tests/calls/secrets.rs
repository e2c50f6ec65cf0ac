//! Secrets: stored once, checked, and shown nowhere.

use data_encoding::BASE64;
use memcloud_google::{ErrorKind, SqlInstance};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::service::{Answer, Service, google_error};

fn accessed(content: &str) -> Answer {
    let payload = json!({"data": BASE64.encode(content.as_bytes())});
    Answer::Says(200, json!({"name": "projects/123/secrets/s/versions/4", "payload": payload}))
}

fn added() -> Answer {
    Answer::Says(200, json!({"name": "projects/123/secrets/s/versions/5"}))
}

fn none() -> Answer {
    google_error(404, "NOT_FOUND", "there is no version")
}

fn content() -> SecretString {
    "hunter2-of-the-database".to_owned().into()
}

#[tokio::test]
async fn the_latest_content_is_not_added_again() {
    let service = Service::start([accessed("hunter2-of-the-database")]).await;
    assert_eq!(service.cloud().secrets("p").put("s", &content()).await.unwrap(), "4");
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn other_content_becomes_a_new_version() {
    let destroyed = google_error(400, "FAILED_PRECONDITION", "the version is in DESTROYED state");
    for latest in [none(), accessed("older"), destroyed] {
        let service = Service::start([latest, added()]).await;
        assert_eq!(service.cloud().secrets("p").put("s", &content()).await.unwrap(), "5");
        let payload = &service.asked()[1].body["payload"];
        assert_eq!(payload["data"], BASE64.encode(b"hunter2-of-the-database"));
        assert!(payload["dataCrc32c"].is_string(), "{payload}");
    }
}

#[tokio::test]
async fn a_lost_answer_adds_no_second_version() {
    let service = Service::start([none(), Answer::Lost, accessed("hunter2-of-the-database")]).await;
    assert_eq!(service.cloud().secrets("p").put("s", &content()).await.unwrap(), "4");
    let added = service.asked().iter().filter(|asked| asked.path.ends_with(":addVersion")).count();
    assert_eq!(added, 1);
}

#[tokio::test]
async fn a_lost_request_is_sent_again() {
    let service = Service::start([none(), Answer::Lost, none(), added()]).await;
    assert_eq!(service.cloud().secrets("p").put("s", &content()).await.unwrap(), "5");
}

#[tokio::test]
async fn damaged_content_is_not_used() {
    let payload = json!({"data": BASE64.encode(b"secret"), "dataCrc32c": "1"});
    let service = Service::start([Answer::Says(200, json!({"name": "x/4", "payload": payload}))]).await;
    let error = service.cloud().secrets("p").access("s", "4").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreadable);
    let payload = json!({"data": BASE64.encode(b"secret"), "dataCrc32c": "2956741965"});
    let service = Service::start([Answer::Says(200, json!({"name": "x/4", "payload": payload}))]).await;
    let secret = service.cloud().secrets("p").access("s", "4").await.unwrap();
    assert_eq!(secret.expose_secret(), "secret");
}

#[tokio::test]
async fn no_error_shows_a_secret_that_a_service_repeats() {
    let encoded = BASE64.encode(b"hunter2-of-the-database");
    let repeats = || google_error(400, "INVALID", &format!("bad value hunter2-of-the-database or {encoded}"));
    let service = Service::start([repeats(), repeats(), repeats()]).await;
    let cloud = service.cloud();
    let instance = SqlInstance { root_password: Some(content()), ..SqlInstance::default() };
    for error in [
        cloud.secrets("p").add_version("s", &content()).await.unwrap_err(),
        cloud.sql("p").insert(&instance).await.unwrap_err(),
        cloud.sql("p").insert_user("i", "u", &content()).await.unwrap_err(),
    ] {
        let shown = format!("{error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains(&encoded), "{shown}");
        assert!(shown.contains("[hidden]"), "{shown}");
    }
    assert!(!format!("{instance:?} {cloud:?}").contains("hunter2"));
    assert!(!format!("{cloud:?}").contains("aura-secret"));
}
