//! Requests against the published descriptions.

use memcloud_hostile_cloud::Options;
use memcloud_hostile_cloud::schemas::{Problem, check, check_body};
use serde_json::{Map, Value, json};

use crate::client::{Client, instance};

/// A body for each call of a deployment, by API, method and an optional note.
const BODIES: &str = include_str!("bodies.json");

#[test]
fn the_bodies_of_a_deployment_keep_to_the_descriptions() {
    let bodies: Map<String, Value> = serde_json::from_str(BODIES).unwrap();
    for (name, body) in &bodies {
        let mut parts = name.split("__");
        let (api, id) = (parts.next().unwrap(), parts.next().unwrap());
        check_body(api, id, body).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    }
    assert_eq!(bodies.len(), 39);
}

#[test]
fn what_is_wrong_with_a_body_is_named_with_its_place() {
    for (change, wanted) in [
        (json!({"nmae": "x"}), "$.nmae: the field is unknown"),
        (json!({"createTime": "2026-01-01T00:00:00Z"}), "$.createTime: the field is output only"),
        (json!({"region": 1}), "$.region: a string is wanted"),
        (
            json!({"databaseVersion": "POSTGRES_1"}),
            "$.databaseVersion: 'POSTGRES_1' is not a value of this enum",
        ),
        (json!({"maxDiskSize": 10}), "$.maxDiskSize: a string is wanted"),
        (json!({"maxDiskSize": "ten"}), "$.maxDiskSize: 'ten' does not have the format int64"),
    ] {
        let mut body = instance("one");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let problem = check_body("sqladmin.v1", "sql.instances.insert", &body).unwrap_err();
        assert_eq!(problem, Problem::Body(vec![wanted.to_owned()]));
    }
}

#[test]
fn paths_and_query_parameters_are_those_of_a_method() {
    let run = |method: &str, path: &str, query: &str| {
        check(method, "run.googleapis.com", path, query, None).map_err(|violation| violation.problem)
    };
    let service = "v2/projects/p/locations/l/services/s";
    assert_eq!(run("GET", service, "alt=json"), Ok(()));
    assert_eq!(run("GET", &service.replace("v2", "v1"), ""), Err(Problem::NoSuchMethod));
    assert_eq!(run("PUT", service, ""), Err(Problem::NoSuchMethod));
    assert!(matches!(run("DELETE", service, "force=true"), Err(Problem::Query(_))));
    assert!(matches!(run("DELETE", service, "validateOnly=yes"), Err(Problem::Query(_))));
}

#[tokio::test]
async fn a_request_that_breaks_its_description_is_refused_and_remembered() {
    let client = Client::of(Options::default().without_processes()).await;
    let mut body = instance("one");
    body["tier"] = "db-f1-micro".into();
    let (status, answer) = client.post("sqladmin.googleapis.com/v1/projects/P/instances", body).await;
    assert_eq!(status, 400);
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("$.tier: the field is unknown"),
        "{answer}"
    );
    let violations = client.cloud.violations();
    assert_eq!(violations.len(), 1);
    assert!(client.cloud.resources().is_empty());
    assert_eq!(client.get("sqladmin.googleapis.com/v1/projects/P/tiers").await.0, 200);
    assert_eq!(client.cloud.violations(), violations);
}
