//! Policies are changed without a loss.

use serde_json::{Value, json};

use crate::service::{Answer, Service, google_error, patience};

const ROLE: &str = "roles/run.invoker";

fn policy(etag: &str, bindings: &Value) -> Answer {
    Answer::Says(
        200,
        json!({"etag": etag, "version": 1, "bindings": bindings, "auditConfigs": [{"service": "x"}]}),
    )
}

fn foreign() -> Value {
    json!({"role": "roles/owner", "members": ["user:a@b.c"]})
}

fn conditional() -> Value {
    json!({"role": ROLE, "members": ["user:a@b.c"], "condition": {"title": "until", "expression": "true"}})
}

#[tokio::test]
async fn a_grant_keeps_what_others_have() {
    let service = Service::start([policy("e1", &json!([foreign(), conditional()]))]).await;
    assert!(service.cloud().project("p").grant(ROLE, "allUsers").await.unwrap());
    let written = &service.asked()[1];
    assert_eq!(written.path, "v3/projects/p:setIamPolicy");
    let granted = json!({"role": ROLE, "members": ["allUsers"]});
    let expected = json!({"policy": {"etag": "e1", "version": 3, "auditConfigs": [{"service": "x"}],
        "bindings": [foreign(), conditional(), granted]}});
    assert_eq!(written.body, expected);
}

#[tokio::test]
async fn nothing_is_written_where_nothing_changes() {
    let service = Service::start([policy("e1", &json!([{"role": ROLE, "members": ["allUsers"]}]))]).await;
    assert!(!service.cloud().run("p", "l").grant("s", ROLE, "allUsers").await.unwrap());
    assert!(!service.cloud().secrets("p").revoke("s", ROLE, "allUsers").await.unwrap());
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn a_lost_race_is_run_again_from_what_is_there_then() {
    let answers = [
        policy("e1", &json!([])),
        google_error(409, "ABORTED", "there were concurrent policy changes"),
        policy("e2", &json!([foreign()])),
    ];
    let service = Service::start(answers).await;
    assert!(service.cloud().secrets("p").grant("s", ROLE, "allUsers").await.unwrap());
    let asked = service.asked();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[3].body["policy"]["etag"], "e2");
    assert_eq!(asked[3].body["policy"]["bindings"][0], foreign());
}

#[tokio::test]
async fn a_revocation_takes_what_a_deleted_account_left_as_well() {
    let account = "serviceAccount:a@p.iam.gserviceaccount.com";
    let left = format!("deleted:{account}?uid=123");
    let bindings = json!([{"role": ROLE, "members": [account, left, "user:a@b.c"]}, {"role": "roles/x", "members": [account]}]);
    let service = Service::start([policy("e1", &bindings)]).await;
    assert!(service.cloud().project("p").revoke(ROLE, account).await.unwrap());
    let expected =
        json!([{"role": ROLE, "members": ["user:a@b.c"]}, {"role": "roles/x", "members": [account]}]);
    assert_eq!(service.asked()[1].body["policy"]["bindings"], expected);
}

#[tokio::test]
async fn a_resource_that_is_gone_has_nothing_to_revoke() {
    let gone = google_error(404, "NOT_FOUND", "no");
    let service = Service::start([gone]).await;
    let cloud = service.cloud().with(patience().settling());
    assert!(!cloud.run("p", "l").revoke("s", ROLE, "allUsers").await.unwrap());
}

#[tokio::test]
async fn a_member_that_is_not_known_yet_is_waited_for() {
    let unknown = || google_error(400, "INVALID_ARGUMENT", "Service account a@p does not exist.");
    let service = Service::start([policy("e1", &json!([])), unknown(), policy("e1", &json!([]))]).await;
    let cloud = service.cloud().with(patience().settling());
    assert!(cloud.project("p").grant(ROLE, "serviceAccount:a@p").await.unwrap());
    assert_eq!(service.asked().len(), 4);
}

#[tokio::test]
async fn own_changes_of_one_project_do_not_collide() {
    let service = Service::start(std::iter::repeat_with(|| policy("e1", &json!([]))).take(40)).await;
    let project = service.cloud().project("p");
    let grants = (0..20).map(|n| {
        let project = project.clone();
        async move { project.grant(ROLE, &format!("user:{n}@b.c")).await.unwrap() }
    });
    assert!(futures_util::future::join_all(grants).await.into_iter().all(|granted| granted));
    let paths: Vec<_> = service.asked().into_iter().map(|asked| asked.path).collect();
    let pair = ["v3/projects/p:getIamPolicy".to_owned(), "v3/projects/p:setIamPolicy".to_owned()];
    assert!(paths.chunks(2).all(|chunk| chunk == pair), "{paths:?}");
}
