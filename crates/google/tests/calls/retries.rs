//! What is sent again, and what is not.

use std::time::{Duration, Instant};

use memcloud_google::{Error, ErrorKind, NewAuraInstance, OrNone, Patience, Run, SqlInstance};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::service::{Answer, Service, google_error, old_error, patience};

/// Whether an answer is the last one, and what it is taken for.
enum Then {
    SentAgain,
    Refused(ErrorKind),
}
use Then::{Refused, SentAgain};

async fn sql(answer: Answer) -> (Result<(), Error>, usize) {
    let service = Service::start([answer, named("operation")]).await;
    let answered = service.cloud().sql("p").insert(&SqlInstance::default()).await;
    (answered.map(drop), service.asked().len())
}

async fn run(answer: Answer) -> (Result<(), Error>, usize) {
    let service = Service::start([answer, named("s")]).await;
    let answered = service.cloud().run("p", "l").list().await;
    (answered.map(drop), service.asked().len())
}

async fn compute(answer: Answer) -> (Result<(), Error>, usize) {
    let service = Service::start([answer, named("n")]).await;
    let answered = service.cloud().compute("p").networks().delete("n").await;
    (answered.map(drop), service.asked().len())
}

async fn peering(answer: Answer) -> (Result<(), Error>, usize) {
    let service = Service::start([answer, named("n")]).await;
    let answered = service.cloud().peering().connect("n", &["r"]).await;
    (answered.map(drop), service.asked().len())
}

async fn aura(answer: Answer) -> (Result<(), Error>, usize) {
    let service = Service::start([answer]).await;
    let answered = service.cloud().aura().unwrap().pause("i").await;
    (answered.map(drop), service.asked().len())
}

fn named(name: &str) -> Answer {
    Answer::Says(200, json!({"name": name}))
}

fn check(case: &str, (answered, sent): (Result<(), Error>, usize), then: &Then) {
    match then {
        SentAgain => {
            assert_eq!(sent, 2, "{case}");
            answered.unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        Refused(kind) => {
            let error = answered.expect_err(case);
            assert_eq!(&error.kind, kind, "{case}: {error}");
            assert_eq!(sent, 1, "{case}");
            assert!(!error.hint.is_empty() && !error.message.ends_with('.'), "{case}: {error:?}");
        }
    }
}

#[tokio::test]
async fn each_refusal_is_sent_again_or_taken_for_what_it_is() {
    let quota = "Quota exceeded for quota metric 'Write requests' and limit 'per minute'";
    let permission = "Permission 'run.services.list' denied on resource 'projects/p' (or it may not exist).";
    let forbidden = ErrorKind::Forbidden { permission: Some("run.services.list".into()) };
    for (answer, then) in [
        (google_error(409, "ALREADY_EXISTS", "it is there"), Refused(ErrorKind::AlreadyExists)),
        (google_error(409, "ABORTED", "there were concurrent changes"), Refused(ErrorKind::Conflict)),
        (google_error(412, "", "the fingerprint is old"), Refused(ErrorKind::Conflict)),
        (google_error(400, "INVALID_ARGUMENT", "no"), Refused(ErrorKind::Invalid)),
        (google_error(404, "NOT_FOUND", "no"), Refused(ErrorKind::NotFound)),
        (google_error(403, "PERMISSION_DENIED", permission), Refused(forbidden)),
        (google_error(403, "SERVICE_DISABLED", "not enabled"), Refused(ErrorKind::ApiDisabled)),
        (google_error(403, "BILLING_DISABLED", "no money"), Refused(ErrorKind::BillingDisabled)),
        (google_error(403, "", quota), SentAgain),
        (google_error(429, "RESOURCE_EXHAUSTED", "slower"), SentAgain),
        (google_error(500, "INTERNAL", "oops"), SentAgain),
        (Answer::Says(503, json!("not even an object")), SentAgain),
        (Answer::Lost, SentAgain),
    ] {
        let case = format!("Cloud Run, {}", shown(&answer));
        check(&case, run(answer).await, &then);
    }
    for (answer, then) in [
        (old_error(409, "instanceAlreadyExists", "the name is taken"), Refused(ErrorKind::NameHeld)),
        (old_error(409, "operationInProgress", "another one runs"), SentAgain),
        (old_error(409, "somethingElse", "whatever"), SentAgain),
        (old_error(403, "quotaExceeded", "too many instances"), Refused(ErrorKind::QuotaExceeded)),
        (
            old_error(400, "invalid", "Invalid request since instance is not running."),
            Refused(ErrorKind::NotFound),
        ),
    ] {
        let case = format!("Cloud SQL, {}", shown(&answer));
        check(&case, sql(answer).await, &then);
    }
    for (answer, then) in [
        (old_error(409, "alreadyExists", "it is there"), Refused(ErrorKind::AlreadyExists)),
        (old_error(400, "resourceNotReady", "the network is not ready"), SentAgain),
        (old_error(400, "resourceInUseByAnotherResource", "in use"), Refused(ErrorKind::StillUsed)),
        (old_error(403, "rateLimitExceeded", "slower"), SentAgain),
        (old_error(403, "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED", "slower"), SentAgain),
    ] {
        let case = format!("Compute Engine, {}", shown(&answer));
        check(&case, compute(answer).await, &then);
    }
    let ranges = "Cannot modify allocated ranges in CreateConnection. Please use UpdateConnection.";
    let used =
        "Failed to delete connection; Producer services (e.g. CloudSQL) are still using this connection.";
    for (answer, then) in [
        (google_error(400, "", ranges), Refused(ErrorKind::RangesDiffer)),
        (google_error(400, "FAILED_PRECONDITION", used), Refused(ErrorKind::StillUsed)),
    ] {
        let case = format!("Service Networking, {}", shown(&answer));
        check(&case, peering(answer).await, &then);
    }
    let errors = |reason: &str| json!({"errors": [{"message": "no", "reason": reason}]});
    for (answer, then) in [
        (Answer::Says(404, errors("db-not-found")), Refused(ErrorKind::NotFound)),
        (Answer::Says(400, errors("tenant-incapable-of-action")), Refused(ErrorKind::Invalid)),
        (Answer::Says(409, errors("ongoing-database-operation")), SentAgain),
        (Answer::Says(429, errors("rate-limit")), SentAgain),
    ] {
        let case = format!("Aura, {}", shown(&answer));
        check(&case, aura(answer).await, &then);
    }
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Says(status, body) | Answer::With(status, _, body) => format!("{status} {body}"),
        Answer::Lost => "lost".into(),
    }
}

#[tokio::test]
async fn a_missing_permission_is_named_with_a_role_that_has_it() {
    let message = "Permission 'secretmanager.secrets.get' denied for resource 'projects/p/secrets/s'.";
    let service = Service::start([google_error(403, "PERMISSION_DENIED", message)]).await;
    let error = service.cloud().secrets("p").get("s").await.unwrap_err();
    assert!(error.hint.contains("secretmanager.secrets.get"), "{}", error.hint);
    assert!(error.hint.contains("roles/secretmanager.admin"), "{}", error.hint);
}

#[tokio::test]
async fn an_answer_that_asks_for_a_wait_gets_it() {
    let slower = Answer::With(429, ("retry-after", "1"), json!({}));
    let service = Service::start([slower]).await;
    let cloud = service.cloud();
    // Gets the token first, which takes a moment, too.
    cloud.check_credentials().await.unwrap();
    let began = Instant::now();
    cloud.run("p", "l").list().await.unwrap();
    // As long as the pace of tests lets an answer ask for.
    assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn what_must_not_happen_twice_is_not_sent_again_after_a_lost_answer() {
    for lost in [Answer::Lost, google_error(503, "UNAVAILABLE", "oops")] {
        let service = Service::start([lost]).await;
        let created = service.cloud().aura().unwrap().create(&NewAuraInstance::default()).await;
        assert!(created.unwrap_err().is_unknown_outcome());
        assert_eq!(service.asked().len(), 1);
    }
}

#[tokio::test]
async fn what_must_not_happen_twice_is_sent_again_after_a_refusal() {
    let created =
        json!({"data": {"id": "i", "connection_url": "neo4j+s://i", "username": "u", "password": "x"}});
    let answers = [Answer::Says(429, json!({})), Answer::Says(202, created)];
    let service = Service::start(answers).await;
    let created = service.cloud().aura().unwrap().create(&NewAuraInstance::default()).await.unwrap();
    assert_eq!(created.id, "i");
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let refused = || google_error(401, "UNAUTHENTICATED", "expired");
    let service = Service::start([refused()]).await;
    service.cloud().run("p", "l").list().await.unwrap();
    let tokens: Vec<_> = service.asked().iter().map(|asked| asked.headers["authorization"].clone()).collect();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2"]);

    let service = Service::start([refused(), refused(), refused()]).await;
    let error = service.cloud().run("p", "l").list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn aura_refuses_an_old_token_as_it_refuses_a_missing_right() {
    let refused = || Answer::Says(403, json!({"error": "forbidden"}));
    let service = Service::start([refused()]).await;
    service.cloud().aura().unwrap().pause("i").await.unwrap();
    assert_eq!((service.asked().len(), service.tokens()), (2, 2));

    let service = Service::start([refused(), refused()]).await;
    let error = service.cloud().aura().unwrap().pause("i").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden { permission: None });
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn refusals_that_pass_are_waited_for_only_after_a_change() {
    let disabled = || google_error(403, "SERVICE_DISABLED", "not enabled");
    let service = Service::start([disabled(), disabled()]).await;
    let cloud = service.cloud();
    assert_eq!(cloud.run("p", "l").list().await.unwrap_err().kind, ErrorKind::ApiDisabled);
    cloud.with(patience().settling()).run("p", "l").list().await.unwrap();
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn what_is_read_right_after_a_change_may_be_absent() {
    let service = Service::start([google_error(404, "NOT_FOUND", "no")]).await;
    let cloud = service.cloud().with(patience().settling());
    assert_eq!(cloud.run("p", "l").get("s").await.or_none().unwrap(), None);
}

async fn busy() -> (Service, Run) {
    let busy = std::iter::repeat_with(|| google_error(503, "UNAVAILABLE", "oops")).take(100_000);
    let service = Service::start(busy).await;
    let run = service.cloud().run("p", "l");
    (service, run)
}

#[tokio::test]
async fn tries_end_with_the_patience_of_the_caller() {
    let (service, _) = busy().await;
    let short = Patience::new(Duration::from_millis(300), CancellationToken::new());
    let error = service.cloud().with(short).run("p", "l").list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(service.asked().len() > 1);
}

#[tokio::test]
async fn tries_end_when_the_caller_cancels() {
    let (service, _) = busy().await;
    let cancel = CancellationToken::new();
    let cloud = service.cloud().with(Patience::new(Duration::from_mins(1), cancel.clone()));
    let run = cloud.run("p", "l");
    let cancelled = async {
        while service.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (listed, ()) = tokio::join!(run.list(), cancelled);
    assert!(listed.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_service_is_created_while_its_name_is_still_being_freed() {
    let taken = || google_error(409, "ALREADY_EXISTS", "it is there");
    let gone = || google_error(404, "NOT_FOUND", "no");
    let answers = [taken(), gone(), taken(), gone(), Answer::Says(200, json!({"name": "o", "done": true}))];
    let service = Service::start(answers).await;
    let operation = service.cloud().run("p", "l").create("s", &memcloud_google::Service::default()).await;
    assert!(operation.unwrap().is_done());

    let service = Service::start([taken()]).await;
    let run = service.cloud().run("p", "l");
    let error = run.create("s", &memcloud_google::Service::default()).await.unwrap_err();
    assert!(error.is_already_exists());
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn a_name_cannot_lead_to_another_path() {
    let service = Service::start([]).await;
    let run = service.cloud().run("p", "l");
    for name in ["..", ".", ""] {
        assert_eq!(run.get(name).await.unwrap_err().kind, ErrorKind::Invalid, "{name:?}");
    }
    let _ = run.get("a/../../b?c=d#e").await;
    let asked = service.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "v2/projects/p/locations/l/services/a%2F..%2F..%2Fb%3Fc%3Dd%23e");
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let page = |name: &str, next: &str| json!({"services": [{"name": name}], "nextPageToken": next});
    let service = Service::start([Answer::Says(200, page("a", "2")), Answer::Says(200, page("b", ""))]).await;
    let names: Vec<_> =
        service.cloud().run("p", "l").list().await.unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(service.asked()[1].query, "pageToken=2");
}
