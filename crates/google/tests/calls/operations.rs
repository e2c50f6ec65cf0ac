//! Operations that take their time.

use memcloud_google::{
    Cloud, ErrorKind, Network, Operation, Readiness, Repository, Service as RunService, SqlInstance,
};
use serde_json::{Value, json};

use crate::service::{Answer, Service};

/// How each family says that an operation runs, is done, and failed; what it is begun with; where it is polled.
struct Family {
    begin: fn(Cloud) -> std::pin::Pin<Box<dyn Future<Output = Operation> + Send>>,
    running: Value,
    done: Value,
    failed: Value,
    polled_at: &'static str,
}

fn families() -> Vec<Family> {
    let long_running = |name: &str| {
        let error = json!({"code": 8, "message": "no more of these."});
        (
            json!({"name": name}),
            json!({"name": name, "done": true, "response": {"is": "there"}}),
            json!({"name": name, "done": true, "error": error}),
        )
    };
    let of_status = |error: Value| {
        (
            json!({"name": "7", "status": "RUNNING", "progress": 40}),
            json!({"name": "7", "status": "DONE"}),
            json!({"name": "7", "status": "DONE", "error": error, "httpErrorStatusCode": 403}),
        )
    };
    let family =
        |begin, (running, done, failed), polled_at| Family { begin, running, done, failed, polled_at };
    let quota = json!({"errors": [{"code": "QUOTA_EXCEEDED", "message": "no more of these."}]});
    vec![
        family(
            |cloud| {
                Box::pin(async move { cloud.run("p", "l").put("s", &RunService::default()).await.unwrap() })
            },
            long_running("projects/p/locations/l/operations/7"),
            "v2/projects/p/locations/l/operations/7",
        ),
        family(
            |cloud| {
                Box::pin(
                    async move { cloud.images("p", "l").create("r", &Repository::default()).await.unwrap() },
                )
            },
            long_running("projects/p/locations/l/operations/7"),
            "v1/projects/p/locations/l/operations/7",
        ),
        family(
            |cloud| {
                Box::pin(async move { cloud.services("p").enable(&["run.googleapis.com"]).await.unwrap() })
            },
            long_running("operations/7"),
            "v1/operations/7",
        ),
        family(
            |cloud| Box::pin(async move { cloud.sql("p").insert(&SqlInstance::default()).await.unwrap() }),
            of_status(quota.clone()),
            "v1/projects/p/operations/7",
        ),
        family(
            |cloud| {
                Box::pin(
                    async move { cloud.compute("p").networks().insert(&Network::default()).await.unwrap() },
                )
            },
            of_status(quota),
            "compute/v1/projects/p/global/operations/7",
        ),
        family(
            |cloud| Box::pin(async move { cloud.clusters("p", "l").delete("c").await.unwrap() }),
            of_status(json!({"code": 8, "message": "no more of these."})),
            "v1/projects/p/locations/l/operations/7",
        ),
    ]
}

fn says(answer: &Value) -> Answer {
    Answer::Says(200, answer.clone())
}

#[tokio::test]
async fn a_wait_ends_when_the_operation_does() {
    for family in families() {
        let answers = [&family.running, &family.running, &family.running, &family.done];
        let service = Service::start(answers.map(says)).await;
        let operation = (family.begin)(service.cloud()).await;
        assert!(!operation.is_done());
        let mut polls = Vec::new();
        service.cloud().wait(&operation, |progress| polls.push(progress.clone())).await.unwrap();
        assert_eq!(polls.len(), 3, "{}", family.polled_at);
        if family.running["progress"].is_number() {
            assert_eq!((polls[0].status.as_str(), polls[0].percent), ("RUNNING", Some(40)));
        }
        let asked = service.asked();
        assert!(
            asked[1..].iter().all(|asked| asked.path == family.polled_at && asked.method == "GET"),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn an_operation_that_is_done_at_once_is_not_polled() {
    for family in families() {
        let service = Service::start([says(&family.done)]).await;
        let operation = (family.begin)(service.cloud()).await;
        assert!(operation.is_done());
        service.cloud().wait(&operation, |_| panic!("it is not polled")).await.unwrap();
        assert_eq!(service.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_operation_that_fails_says_why() {
    for family in families() {
        let service = Service::start([says(&family.running), says(&family.failed)]).await;
        let operation = (family.begin)(service.cloud()).await;
        let error = service.cloud().wait(&operation, |_| {}).await.unwrap_err();
        let expected = [ErrorKind::QuotaExceeded, ErrorKind::Throttled];
        assert!(expected.contains(&error.kind), "{}: {error:?}", family.polled_at);
        assert!(error.message.ends_with("no more of these"), "{error}");
    }
}

#[tokio::test]
async fn an_operation_is_waited_for_again_after_a_restart() {
    for family in families() {
        let service = Service::start([&family.running, &family.running, &family.done].map(says)).await;
        let operation = (family.begin)(service.cloud()).await;
        let kept = serde_json::to_string(&operation).unwrap();
        drop(operation);
        let operation: Operation = serde_json::from_str(&kept).unwrap();
        service.cloud().wait(&operation, |_| {}).await.unwrap();
        assert_eq!(service.asked().last().unwrap().path, family.polled_at);
    }
}

#[tokio::test]
async fn the_response_of_an_operation_is_returned() {
    let family = families().remove(0);
    let service = Service::start([says(&family.running), says(&family.done)]).await;
    let operation = (family.begin)(service.cloud()).await;
    assert_eq!(service.cloud().wait(&operation, |_| {}).await.unwrap(), json!({"is": "there"}));
}

#[tokio::test]
async fn a_service_is_ready_when_its_last_generation_serves() {
    let service = |reconciling: bool, observed: &str, state: &str| -> RunService {
        let condition = json!({"type": "Ready", "state": state, "reason": "UNKNOWN", "message": "why."});
        let service = json!({"reconciling": reconciling, "generation": "2", "observedGeneration": observed,
            "terminalCondition": condition});
        serde_json::from_value(service).unwrap()
    };
    assert_eq!(service(false, "2", "CONDITION_SUCCEEDED").readiness(), Readiness::Ready);
    assert_eq!(service(true, "2", "CONDITION_SUCCEEDED").readiness(), Readiness::Pending);
    assert_eq!(service(false, "1", "CONDITION_SUCCEEDED").readiness(), Readiness::Pending);
    assert_eq!(service(false, "1", "CONDITION_FAILED").readiness(), Readiness::Pending);
    assert_eq!(service(false, "2", "CONDITION_RECONCILING").readiness(), Readiness::Pending);
    assert_eq!(service(false, "2", "A_STATE_OF_NEXT_YEAR").readiness(), Readiness::Pending);
    let failed = Readiness::Failed { reason: "UNKNOWN".into(), message: "why".into() };
    assert_eq!(service(false, "2", "CONDITION_FAILED").readiness(), failed);
}

#[tokio::test]
async fn a_service_that_cannot_start_says_what_its_revision_says() {
    let failed =
        json!({"type": "Ready", "state": "CONDITION_FAILED", "reason": "REVISION_FAILED", "message": "no."});
    let service = json!({"generation": "1", "observedGeneration": "1", "terminalCondition": failed,
        "latestCreatedRevision": "projects/p/locations/l/services/s/revisions/s-1"});
    let condition = json!({"type": "ContainerReady", "state": "CONDITION_FAILED",
        "revisionReason": "HEALTH_CHECK_CONTAINER_ERROR", "message": "nothing listens on the port."});
    let revision = json!({"conditions": [condition], "logUri": "https://logs.example"});
    let service = Service::start([says(&service), says(&revision)]).await;
    let error = service.cloud().run("p", "l").await_ready("s", |_| {}).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains("(HEALTH_CHECK_CONTAINER_ERROR): nothing listens on the port"), "{error}");
    assert!(error.hint.contains("https://logs.example"), "{}", error.hint);
}
