use memcloud_control::access::Role;
use memcloud_control::verify::{Criterion, Evidence, Outcome};
use memcloud_control::{EvidenceStore, InstanceId};
use memcloud_domain::Clock;
use serde_json::{Value, json};

use crate::scripted::Act;
use crate::test_console::Console;

#[tokio::test]
async fn an_instance_is_queued_at_once_and_running_when_its_operation_has_ended() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let go = console.target.will_wait("act");
    let (id, operation) = console.create(&token, "team-memory").await;
    let path = format!("/api/instances/{id}");
    let begun = console.get(&token, &path).await.ok();
    assert_eq!(begun["wanted"], "running");
    assert_ne!(begun["state"], "running", "it is not verified yet");
    go.send(true).unwrap();
    let ended = console.ended(&token, &operation).await;
    assert_eq!(
        (&ended["state"], &ended["kind"], &ended["actor"]),
        (&json!("succeeded"), &json!("create"), &json!("owner"))
    );
    let instance = console.get(&token, &path).await.ok();
    assert_eq!(
        [&instance["state"], &instance["topology"], &instance["target"], &instance["has_llm"]],
        [&json!("running"), &json!("embedded"), &json!("local"), &json!(false)]
    );
    assert_eq!(instance["capabilities"].as_array().unwrap().len(), 4);
    assert_eq!(instance["capabilities"][0]["state"], "not_checked");
}

#[tokio::test]
async fn names_that_are_no_labels_and_unknown_fields_are_refused() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let long = "x".repeat(300);
    for name in ["", &long, "🦀", "../x", "A", "a b", "-a", "a\u{0}"] {
        for path in ["/api/instances", "/api/plan"] {
            let answer = console.call(&token, "POST", path, &json!({"name": name})).await;
            assert_eq!(answer.code(422), "invalid_name", "{name}");
        }
    }
    for (body, code) in [
        (json!({}), "missing_field"),
        (json!({"name": 7}), "wrong_type"),
        (json!({"name": "a", "nam": "b"}), "unknown_field"),
        (json!({"name": "a", "neo4j": {"connection_string": "bolt://db", "pass": "x"}}), "unknown_field"),
        (json!({"name": "a", "target": "azure"}), "unknown_target"),
        (json!({"name": "a", "target": "google"}), "missing_google"),
        (json!({"name": "a", "google": {"region": "europe-west1"}}), "unwanted_google"),
        (json!({"name": "a", "topology": "aura"}), "invalid_value"),
        (json!({"name": "a", "topology": "mysql"}), "unknown_topology"),
        (json!({"name": "a", "topology": "neo4j"}), "invalid_value"),
        (json!({"name": "a", "postgres": {"connection_string": "mysql://db"}}), "invalid_connection"),
        (json!({"name": "a", "neo4j": {"connection_string": ""}}), "invalid_connection"),
        (json!({"name": "a", "llm": {"model": " "}}), "empty_value"),
    ] {
        let answer = console.call(&token, "POST", "/api/instances", &body).await;
        assert_eq!(answer.code(422), code, "{body}");
    }
    let list = console.get(&token, "/api/instances").await.ok();
    assert_eq!(list["instances"], json!([]), "nothing was made");
}

#[tokio::test]
async fn a_place_on_google_is_read_strictly_and_every_problem_has_its_field() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    for (google, field, code) in [
        (json!({}), "region", "missing_field"),
        (json!({"region": "mars"}), "region", "invalid_region"),
        (json!({"region": "europe-west1", "zone": "b"}), "zone", "unknown_field"),
        (json!({"region": "europe-west1", "project": "My Project"}), "project", "invalid_project"),
        (json!({"region": "europe-west1", "image": "a b"}), "image", "invalid_image"),
        (json!({"region": "europe-west1", "max_servers": 0}), "max_servers", "invalid_value"),
        (json!({"region": "europe-west1", "min_servers": 2}), "min_servers", "invalid_value"),
        (json!({"region": "europe-west1", "connector": "yes"}), "connector", "wrong_type"),
        (json!({"region": "europe-west1", "database_tier": "'"}), "database_tier", "invalid_value"),
        (json!({"region": "europe-west1", "bolt_ranges": ["10.0.0.0"]}), "bolt_ranges", "invalid_range"),
        (json!({"region": "europe-west1", "aura": {"tier": "gold"}}), "aura", "unknown_aura_tier"),
        (json!({"region": "europe-west1", "aura": {"size": 1}}), "aura", "unknown_field"),
    ] {
        let body = json!({"name": "a", "target": "google", "google": google});
        let answer = console.call(&token, "POST", "/api/plan", &body).await;
        assert_eq!(answer.code(422), code, "{google}");
        let place = &answer.json()["detail"][0]["loc"];
        assert_eq!((&place[1], &place[2]), (&json!("google"), &json!(field)), "{google}");
    }
    let google = json!({"region": "europe-west1", "project": "my-project", "max_servers": 3});
    for path in ["/api/plan", "/api/instances"] {
        let body = json!({"name": "a", "target": "google", "google": google});
        let answer = console.call(&token, "POST", path, &body).await;
        assert_eq!(answer.code(422), "target_missing", "this console has no such target");
    }
}

#[tokio::test]
async fn a_plan_that_is_refused_says_every_reason_and_makes_nothing() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    console.target.refuse(&[("there is no room", "make room"), ("it costs too much", "take another tier")]);
    let body = json!({"name": "a"});
    let plan = console.call(&token, "POST", "/api/plan", &body).await.ok();
    assert_eq!(plan["refusals"][1], json!({"message": "it costs too much", "hint": "take another tier"}));
    let refused = console.call(&token, "POST", "/api/instances", &body).await;
    assert_eq!(refused.code(422), "plan_refused");
    let reasons = refused.json()["detail"].clone();
    assert_eq!(reasons[0]["msg"], "there is no room; make room");
    assert_eq!(reasons[1]["msg"], "it costs too much; take another tier");
    let list = console.get(&token, "/api/instances").await.ok();
    assert_eq!(list["instances"], json!([]), "nothing was made");
    console.target.refuse(&[]);
    let id = console.made(&token, "a").await;
    console.target.refuse(&[("it is locked", "unlock it")]);
    let refused = console.call(&token, "POST", &format!("/api/instances/{id}/stop"), &Value::Null).await;
    assert_eq!(refused.code(422), "plan_refused");
}

#[tokio::test]
async fn of_two_creations_with_one_name_one_is_accepted() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let body = json!({"name": "same"});
    let create = || console.call(&token, "POST", "/api/instances", &body);
    let (one, other) = tokio::join!(create(), create());
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
    let refused = if one.status == 409 { one } else { other };
    assert_eq!(refused.code(409), "name_taken");
}

#[tokio::test]
async fn of_two_deletions_one_is_accepted() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let id = console.made(&token, "own").await;
    let path = format!("/api/instances/{id}");
    let go = console.target.will_wait("act");
    let body = json!({"confirm": "own", "data": "delete"});
    let delete = || console.call(&token, "DELETE", &path, &body);
    let (one, other) = tokio::join!(delete(), delete());
    let (accepted, refused) = if one.status == 202 { (one, other) } else { (other, one) };
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    assert_eq!(refused.code(409), "operation_running");
    go.send(true).unwrap();
    console.ended(&token, accepted.json()["operation"]["id"].as_str().unwrap()).await;
    assert_eq!(console.get(&token, &path).await.code(404), "not_found");
    assert_eq!(delete().await.code(404), "not_found");
    console.made(&token, "own").await;
}

#[tokio::test]
async fn a_deletion_needs_the_name_and_nothing_that_is_unknown() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let id = console.made(&token, "own").await;
    let path = format!("/api/instances/{id}");
    for (body, code) in [
        (json!({"confirm": "other"}), "invalid_value"),
        (json!({}), "missing_field"),
        (json!({"confirm": "own", "data": "all"}), "unknown_data"),
        (json!({"confirm": "own", "force": true}), "unknown_field"),
    ] {
        assert_eq!(console.call(&token, "DELETE", &path, &body).await.code(422), code, "{body}");
    }
    let query = format!("{path}?data=delete");
    let answer = console.call(&token, "DELETE", &query, &json!({"confirm": "own"})).await;
    assert_eq!(answer.code(422), "unknown_field");
    assert_eq!(console.get(&token, &path).await.ok()["state"], "running");
}

#[tokio::test]
async fn one_operation_of_an_instance_runs_at_a_time() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let id = console.made(&token, "own").await;
    let go = console.target.will_wait("act");
    let begin = async |verb: &str| {
        let body = if verb == "upgrade" { json!({}) } else { Value::Null };
        console.call(&token, "POST", &format!("/api/instances/{id}/{verb}"), &body).await
    };
    let accepted = begin("restart").await;
    assert_eq!(accepted.ok()["operation"]["kind"], "restart");
    for verb in ["start", "stop", "verify", "upgrade"] {
        assert_eq!(begin(verb).await.code(409), "operation_running", "{verb}");
    }
    go.send(true).unwrap();
    console.ended(&token, accepted.json()["operation"]["id"].as_str().unwrap()).await;
    console.target.will("act", Act::Succeed);
    let stopped = begin("stop").await.ok();
    console.ended(&token, stopped["operation"]["id"].as_str().unwrap()).await;
    assert_eq!(console.get(&token, &format!("/api/instances/{id}")).await.ok()["state"], "stopped");
    assert_eq!(begin("verify").await.code(409), "wrong_state");
}

#[tokio::test]
async fn only_an_owner_chooses_the_program() {
    let console = Console::open().await;
    let (owner, member) = (console.owner_token().await, console.token_as(Role::Member).await);
    let id = console.made(&owner, "own").await;
    let path = format!("/api/instances/{id}/upgrade");
    let with_program = json!({"program": "/usr/bin/memcloud"});
    assert_eq!(console.call(&member, "POST", &path, &with_program).await.code(403), "forbidden_right");
    let accepted = console.call(&member, "POST", &path, &json!({})).await.ok();
    console.ended(&member, accepted["operation"]["id"].as_str().unwrap()).await;
    console.call(&owner, "POST", &path, &with_program).await.ok();
}

#[tokio::test]
async fn a_clone_is_an_instance_of_its_own() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let id = console.made(&token, "own").await;
    let path = format!("/api/instances/{id}/clone");
    let accepted = console.call(&token, "POST", &path, &json!({"name": "copy"})).await.ok();
    assert_eq!(accepted["instance"]["name"], "copy");
    assert_ne!(accepted["instance"]["id"], id);
    assert_eq!(console.call(&token, "POST", &path, &json!({"name": "own"})).await.code(409), "name_taken");
    assert_eq!(console.call(&token, "POST", &path, &json!({"name": ".."})).await.code(422), "invalid_name");
}

#[tokio::test]
async fn a_plan_says_the_steps_and_does_nothing() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let body = json!({"name": "a", "postgres": {"connection_string": "postgres://db/memory"}});
    let plan = console.call(&token, "POST", "/api/plan", &body).await.ok();
    assert_eq!((&plan["topology"], &plan["target"]), (&json!("postgres"), &json!("local")));
    assert_eq!(plan["steps"][1]["after"], json!(["prepare"]));
    assert_eq!(console.get(&token, "/api/instances").await.ok()["instances"], json!([]));
    assert_eq!(console.get(&token, "/api/operations").await.ok()["operations"], json!([]));
}

#[tokio::test]
async fn lists_have_pages_and_names() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    for name in ["c", "a", "b"] {
        console.made(&token, name).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let instances = list["instances"].as_array().unwrap().iter();
        instances.map(|instance| instance["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = console.get(&token, "/api/instances?limit=2").await.ok();
    assert_eq!(names(&first), ["a", "b"]);
    let next = format!("/api/instances?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = console.get(&token, &next).await.ok();
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["c".to_owned()], &Value::Null));
    assert_eq!(names(&console.get(&token, "/api/instances?name=b").await.ok()), ["b"]);
    assert!(names(&console.get(&token, "/api/instances?name=x").await.ok()).is_empty());
    for limit in ["0", "-1", "1001", "99999999999999999999"] {
        let answer = console.get(&token, &format!("/api/instances?limit={limit}")).await;
        assert_eq!(answer.code(422), "limit_out_of_range", "{limit}");
    }
    assert_eq!(console.get(&token, "/api/instances?limit=x").await.code(422), "wrong_type");
}

#[tokio::test]
async fn capabilities_follow_from_the_evidence_of_each_instance() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let (one, other) = (console.made(&token, "one").await, console.made(&token, "other").await);
    let seen = Evidence {
        criterion: Criterion::Persistence,
        outcome: Outcome::Passed,
        sent: "GET /v1/memories".into(),
        received: "200".into(),
        millis: 1.5,
        at: console.clock.now(),
        reason: None,
    };
    let instance: InstanceId = one.parse().unwrap();
    console.store.keep_evidence(&instance, &[seen]).await.unwrap();
    let state = |instance: &Value| {
        let capabilities = instance["capabilities"].as_array().unwrap().clone();
        let of = capabilities.into_iter().find(|capability| capability["name"] == "persistence").unwrap();
        of["state"].as_str().unwrap().to_owned()
    };
    let list = console.get(&token, "/api/instances").await.ok();
    assert_eq!(
        (state(&list["instances"][0]), state(&list["instances"][1])),
        ("yes".into(), "not_checked".into())
    );
    for (id, expected) in [(&one, "yes"), (&other, "not_checked")] {
        let path = format!("/api/instances/{id}");
        assert_eq!(state(&console.get(&token, &path).await.ok()), expected);
    }
    console.clock.forward(std::time::Duration::from_hours(25));
    let path = format!("/api/instances/{one}");
    assert_eq!(
        state(&console.get(&token, &path).await.ok()),
        "not_checked",
        "evidence of yesterday proves nothing"
    );
}

#[tokio::test]
async fn the_doctor_examines_the_database_the_sealing_key_and_each_instance_now() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    console.made(&token, "silent").await;
    console.target.will("act", Act::Fail);
    let (_, operation) = console.create(&token, "fails").await;
    console.ended(&token, &operation).await;
    let parts = console.get(&token, "/api/doctor").await.ok();
    let part = |index: usize| &parts["parts"][index];
    assert_eq!((&part(0)["part"], &part(0)["state"]), (&json!("database"), &json!("ok")));
    assert_eq!((&part(1)["part"], &part(1)["state"]), (&json!("sealing_key"), &json!("ok")));
    assert_eq!((&part(2)["instance"], &part(2)["state"]), (&json!("fails"), &json!("failed")));
    assert_eq!(part(2)["reason"], json!({"message": "the disk is full", "hint": "free space on it"}));
    assert_eq!((&part(3)["instance"], &part(3)["state"]), (&json!("silent"), &json!("failed")));
    assert_eq!(
        part(3)["reason"]["message"],
        "its process runs, and does not answer",
        "it is known as running"
    );
}

#[tokio::test]
async fn leftovers_are_listed() {
    let console = Console::open().await;
    let leftovers = console.get(&console.owner_token().await, "/api/leftovers").await.ok();
    assert_eq!(leftovers["leftovers"][0]["kind"], "folder");
    let foreign = console.get(&console.foreign_token().await, "/api/leftovers").await.ok();
    assert_eq!(foreign["leftovers"], json!([]), "they are the machine's");
}
