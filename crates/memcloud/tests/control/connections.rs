//! Connections that cannot work are said before anything is made, by the real console to clients of its API.

use std::net::{SocketAddr, TcpListener};

use jiff::{SignedDuration, Timestamp};
use memcloud_api::console::{Connection, NewInstance};

use crate::databases::database;
use crate::up::{Up, embedded, on_shared, say};

/// How long a connection may be tried: ten seconds, and as much again on a machine that is busy with other tests.
const TRIED_WITHIN: SignedDuration = SignedDuration::from_secs(20);
const SECRET: &str = "planted-password";

fn connection(address: &str) -> Connection {
    Connection {
        connection_string: address.into(),
        username: Some("ann".into()),
        password: Some(SECRET.into()),
    }
}

fn on_postgres(address: SocketAddr) -> NewInstance {
    NewInstance { postgres: Some(connection(&format!("postgres://{address}/d"))), ..embedded("one") }
}

fn on_neo4j(address: SocketAddr) -> NewInstance {
    NewInstance { neo4j: Some(connection(&format!("bolt://{address}"))), ..embedded("one") }
}

/// A creation fails with a reason and a hint that say these words, before anything is made, and leaves nothing.
#[track_caller]
fn is_refused(up: &Up, new: &NewInstance, words: &[&str]) {
    let before = up.there();
    let begun = up.begin_create(new);
    let ended = up.ended(&begun.operation);
    assert_eq!(ended.state, "failed", "{ended:?}");
    let said = ended.reason.as_ref().map(|reason| format!("{}; {}", reason.message, reason.hint)).unwrap();
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    assert!(!format!("{ended:?}").contains(SECRET), "{ended:?}");
    let step = |name| ended.steps.iter().find(|step| step.name == name).unwrap();
    assert_eq!(step("folder").started_at, None, "nothing was made: {ended:?}");
    let tried = up.event(&ended, |event| {
        event.step.as_deref() == Some("connections") && event.state == "failed" && event.kind == "step"
    });
    let moment = |text: &str| text.parse::<Timestamp>().unwrap();
    let began = moment(&ended.created_at);
    let took = moment(&tried.unwrap().time).duration_since(began);
    say(&format!("{said} ({:.1} s)", took.as_secs_f64()));
    assert!(took <= TRIED_WITHIN, "{took:?}");
    assert_eq!(up.there(), before);
    let instance = up.instance(&begun.instance.id).unwrap();
    assert_eq!((&*instance.state, &instance.reason), ("failed", &ended.reason));
    // The name is free again.
    up.ended(&up.delete(&instance).operation);
    assert_eq!(up.there(), before);
}

#[test]
fn wrong_passwords_of_databases_are_said_before_anything_is_made() {
    let (up, database) = (Up::start(), database());
    let right = on_shared(&database, "one");
    let (graph, postgres) = (right.neo4j.as_ref().unwrap(), right.postgres.as_ref().unwrap());
    let wrong =
        |connection: &Connection| Some(Connection { password: Some(SECRET.into()), ..connection.clone() });
    let place = postgres.connection_string.rsplit_once('@').unwrap().1.split_once('/').unwrap().0;
    let wrong_postgres = NewInstance { postgres: wrong(postgres), neo4j: None, ..right.clone() };
    is_refused(&up, &wrong_postgres, &["PostgreSQL", place, "'username' and 'password' of 'postgres'"]);
    let wrong_graph = NewInstance { neo4j: wrong(graph), ..right.clone() };
    is_refused(
        &up,
        &wrong_graph,
        &["Neo4j", &graph.connection_string, "'username' and 'password' of 'neo4j'"],
    );
    // The database with the right password was not touched either.
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'memcloud'";
    assert_eq!(database.execute(schemas), "0");
    up.create(&right);
}

#[test]
fn hosts_that_answer_nothing_are_said_in_time() {
    let up = Up::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap();
    // Reserved for documentation: no host has it.
    let nowhere = SocketAddr::from(([192, 0, 2, 1], 9));
    for address in [silent, nowhere] {
        let place = address.to_string();
        is_refused(&up, &on_postgres(address), &["PostgreSQL", &place, "'connection_string' of 'postgres'"]);
        is_refused(&up, &on_neo4j(address), &["Neo4j", &place, "'connection_string' of 'neo4j'"]);
    }
}
