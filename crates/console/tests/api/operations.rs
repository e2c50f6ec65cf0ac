use std::time::Duration;

use memcloud_control::access::Role;
use memcloud_domain::Clock;
use memcloud_domain::{Rights, Timestamp};
use serde_json::{Value, json};

use crate::scripted::Act;
use crate::test_console::{Console, Stream};

async fn events(console: &Console, token: &str, operation: &str, after: &str) -> Stream {
    let headers = [("authorization", &*format!("Bearer {token}")), ("last-event-id", after)];
    Stream::of(console.begun("GET", &format!("/api/operations/{operation}/events"), &headers, "").await)
}

/// The events of a stream up to its end: id, name, and data.
async fn all(mut stream: Stream) -> Vec<(u64, String, Value)> {
    let mut text = String::new();
    while let Some(part) = stream.next().await {
        text += &part;
    }
    let event = |event: &str| {
        let mut lines = event.lines();
        let mut field = |name: &str| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
        let (id, name) = (field("id: ").parse().unwrap(), field("event: "));
        (id, name, serde_json::from_str(&field("data: ")).unwrap())
    };
    text.split_terminator("\n\n").filter(|event| !event.starts_with(':')).map(event).collect()
}

#[tokio::test]
async fn events_are_numbered_and_read_again_after_the_last_one() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let (_, operation) = console.create(&token, "own").await;
    console.ended(&token, &operation).await;
    let first = all(events(&console, &token, &operation, "0").await).await;
    let numbers: Vec<u64> = first.iter().map(|(id, ..)| *id).collect();
    assert_eq!(numbers, (1..=first.len() as u64).collect::<Vec<_>>());
    let (_, name, last) = first.last().unwrap();
    assert_eq!(
        (name.as_str(), &last["kind"], &last["state"]),
        ("operation", &json!("operation"), &json!("succeeded"))
    );
    for (id, name, event) in &first {
        assert_eq!((&event["number"], event["kind"].as_str()), (&json!(id), Some(name.as_str())));
        assert!(event["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert!(!event["message"].as_str().unwrap().is_empty() || event["kind"] == "message");
    }
    let rest = all(events(&console, &token, &operation, "3").await).await;
    assert_eq!(rest, first[3..]);
    assert!(all(events(&console, &token, &operation, "9999").await).await.is_empty());
}

#[tokio::test]
async fn events_arrive_while_the_operation_runs_and_end_with_it() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let go = console.target.will_wait("act");
    let (_, operation) = console.create(&token, "own").await;
    let mut stream = events(&console, &token, &operation, "0").await;
    stream.until("\"message\":\"waiting\"").await;
    let mut other = events(&console, &token, &operation, "1").await;
    other.until("\"message\":\"waiting\"").await;
    go.send(true).unwrap();
    stream.until("\"state\":\"succeeded\"").await;
    assert_eq!(stream.next().await, None);
    other.until("\"state\":\"succeeded\"").await;
    assert_eq!(other.next().await, None);
}

#[tokio::test]
async fn a_failed_operation_says_why_and_goes_on_when_it_is_retried() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    console.target.will("act", Act::Fail);
    let (instance, operation) = console.create(&token, "own").await;
    let failed = console.ended(&token, &operation).await;
    assert_eq!((&failed["state"], &failed["reason"]["hint"]), (&json!("failed"), &json!("free space on it")));
    assert_eq!(failed["steps"][1]["state"], "undone");
    let path = format!("/api/instances/{instance}");
    let instance = console.get(&token, &path).await.ok();
    assert_eq!(
        (&instance["state"], &instance["reason"]["message"]),
        (&json!("failed"), &json!("the disk is full"))
    );
    console.target.will("act", Act::Succeed);
    let retry = format!("/api/operations/{operation}/retry");
    let accepted = console.call(&token, "POST", &retry, &Value::Null).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    assert_eq!(console.ended(&token, &operation).await["state"], "succeeded");
    assert_eq!(console.get(&token, &path).await.ok()["state"], "running");
    assert_eq!(console.call(&token, "POST", &retry, &Value::Null).await.code(409), "wrong_state");
}

#[tokio::test]
async fn a_cancelled_operation_is_undone() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let _go = console.target.will_wait("act");
    let (_, operation) = console.create(&token, "own").await;
    events(&console, &token, &operation, "0").await.until("waiting").await;
    let cancel = format!("/api/operations/{operation}/cancel");
    let accepted = console.call(&token, "POST", &cancel, &Value::Null).await;
    assert_eq!((accepted.status.as_u16(), &accepted.json()["cancel"]), (202, &json!(true)));
    let ended = console.ended(&token, &operation).await;
    assert_eq!((&ended["state"], &ended["steps"][0]["state"]), (&json!("cancelled"), &json!("undone")));
    assert_eq!(console.call(&token, "POST", &cancel, &Value::Null).await.code(409), "wrong_state");
}

#[tokio::test]
async fn operations_are_listed_newest_first_and_by_instance() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let (one, other) = (console.made(&token, "one").await, console.made(&token, "other").await);
    let restart =
        console.call(&token, "POST", &format!("/api/instances/{one}/restart"), &Value::Null).await.ok();
    console.ended(&token, restart["operation"]["id"].as_str().unwrap()).await;
    let kinds = |list: &Value| -> Vec<(String, String)> {
        let operations = list["operations"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        operations.map(|operation| (text(&operation["kind"]), text(&operation["instance"]))).collect()
    };
    let pair = |kind: &str, id: &String| (kind.to_owned(), id.clone());
    let all = console.get(&token, "/api/operations").await.ok();
    assert_eq!(kinds(&all), [pair("restart", &one), pair("create", &other), pair("create", &one)]);
    let of_one = console.get(&token, &format!("/api/operations?instance={one}&limit=1")).await.ok();
    assert_eq!(kinds(&of_one), [pair("restart", &one)]);
    let next = of_one["next_cursor"].as_str().unwrap();
    let rest =
        console.get(&token, &format!("/api/operations?instance={one}&limit=1&cursor={next}")).await.ok();
    assert_eq!(kinds(&rest), [pair("create", &one)]);
    let none = console.get(&token, "/api/operations?instance=../x").await.ok();
    assert_eq!(none["operations"], json!([]));
}

#[tokio::test]
async fn an_operation_goes_on_when_the_token_that_began_it_ends() {
    let console = Console::open().await;
    let owner = console.owner_token().await;
    let member = console.user("ann", Role::Member, None).await;
    let hour = Duration::from_hours(1);
    let end = Timestamp::from_micros(console.clock.now().as_micros() + hour.as_micros() as i64);
    let token = console.token_of(&member.id, Rights::ALL, end).await;
    let go = console.target.will_wait("act");
    let (_, operation) = console.create(&token, "own").await;
    console.clock.forward(hour);
    let path = format!("/api/operations/{operation}");
    assert_eq!(console.get(&token, &path).await.code(401), "token_expired");
    go.send(true).unwrap();
    let ended = console.ended(&owner, &operation).await;
    assert_eq!((&ended["state"], &ended["actor"]), (&json!("succeeded"), &json!("ann")));
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked_and_when_the_console_stops() {
    let console = Console::open().await;
    let owner = console.owner_token().await;
    let _go = console.target.will_wait("act");
    let (_, operation) = console.create(&owner, "own").await;
    let made =
        console.call(&owner, "POST", "/api/tokens", &json!({"name": "t", "scopes": ["read"]})).await.ok();
    let token = made["token"].as_str().unwrap();
    let mut revoked = events(&console, token, &operation, "0").await;
    revoked.until("waiting").await;
    let mut other = events(&console, &owner, &operation, "0").await;
    other.until("waiting").await;
    let id = made["id"].as_str().unwrap();
    console.call(&owner, "DELETE", &format!("/api/tokens/{id}"), &Value::Null).await.ok();
    assert_eq!(revoked.next().await, None);
    console.stop.cancel();
    assert_eq!(other.next().await, None);
}

#[tokio::test]
async fn a_log_is_read_from_a_byte_on_and_followed() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let id = console.made(&token, "own").await;
    console.target.write_log("one\n");
    let path = format!("/api/instances/{id}/logs");
    let part = console.get(&token, &path).await.ok();
    assert_eq!(part, json!({"text": "one\n", "next": 4}));
    assert_eq!(console.get(&token, &format!("{path}?from=4")).await.ok()["text"], "");
    assert_eq!(console.get(&token, &format!("{path}?from=x")).await.code(422), "wrong_type");
    let bearer = format!("Bearer {token}");
    let follow = format!("{path}?follow=true&from=0");
    let mut stream = Stream::of(console.begun("GET", &follow, &[("authorization", &bearer)], "").await);
    assert_eq!(stream.next().await.unwrap(), "id: 4\nevent: log\ndata: {\"text\":\"one\\n\",\"next\":4}\n\n");
    console.target.write_log("two\n");
    assert_eq!(stream.next().await.unwrap(), "id: 8\nevent: log\ndata: {\"text\":\"two\\n\",\"next\":8}\n\n");
    let headers = [("authorization", &*bearer), ("last-event-id", "4")];
    let mut resumed = Stream::of(console.begun("GET", &follow, &headers, "").await);
    assert!(resumed.next().await.unwrap().contains("two"));
    console.stop.cancel();
    assert_eq!(stream.next().await, None);
}
