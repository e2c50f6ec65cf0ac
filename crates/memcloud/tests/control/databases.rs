//! Instances that keep their memory in databases.

use std::sync::{Mutex, PoisonError};

use memcloud_control::instances::{Connection, Topology};
use memcloud_control::{Data, NewInstance, State};
use memcloud_test_servers::{Database, SharedNeo4j, SharedPostgres};

use crate::console::{Console, Machine, new};
use crate::kills::{kill_creations, kill_removals, kill_upgrades};

fn on_postgres(database: &Database, name: &str) -> NewInstance {
    let mut instance = new(name);
    instance.settings.postgres =
        Some(Connection { connection_string: database.url(), username: None, password: None });
    instance
}

fn on_both(database: &Database, name: &str) -> NewInstance {
    let graph = SharedNeo4j::from_environment();
    let mut instance = on_postgres(database, name);
    instance.settings.neo4j = Some(Connection {
        connection_string: graph.uri().clone(),
        username: Some(graph.user().to_owned()),
        password: Some(graph.password().to_owned()),
    });
    instance
}

/// Held by each test that kills consoles here: two at a time would measure the databases, which verifications set limits.
pub(crate) static KILLS: Mutex<()> = Mutex::new(());

pub(crate) fn database() -> Database {
    SharedPostgres::from_environment().create_database()
}

#[test]
fn an_instance_on_neo4j_and_postgres_is_verified_and_emptied_when_its_data_go() {
    let (machine, database) = (Machine::new(), database());
    let console = Console::start(&machine);
    let instance = console.create(on_both(&database, "one"));
    assert_eq!(instance.topology, Topology::Neo4j);
    console.store(&instance, "I moved to Lisbon in May");
    console.delete(&instance, Data::Keep);

    let again = console.create(on_both(&database, "one"));
    assert_eq!(console.search(&again, "Lisbon"), ["I moved to Lisbon in May"]);
    console.delete(&again, Data::Delete);
    console.is(&again, State::Removed);
    assert_eq!(database.execute("SELECT count(*) FROM memcloud.episodes"), "0");
    assert_eq!(database.execute("SELECT count(*) FROM memcloud.spaces"), "0");
}

#[test]
fn a_database_that_two_instances_share_is_not_emptied() {
    let (machine, database) = (Machine::new(), database());
    let console = Console::start(&machine);
    let (one, two) =
        (console.create(on_postgres(&database, "one")), console.create(on_postgres(&database, "two")));
    console.store(&one, "I moved to Lisbon in May");
    let reason = console.failed(&console.begin_delete(&two, Data::Delete));
    assert!(reason.message.contains("'one' keeps its memory in the same database"), "{reason:?}");
    console.delete(&two, Data::Keep);
    assert_eq!(console.search(&one, "Lisbon"), ["I moved to Lisbon in May"]);
}

#[test]
fn a_creation_on_databases_that_is_interrupted_anywhere_makes_one_instance() {
    let _alone = KILLS.lock().unwrap_or_else(PoisonError::into_inner);
    let database = database();
    kill_creations(|name| on_both(&database, name));
}

#[test]
fn an_upgrade_on_databases_that_is_interrupted_anywhere_is_done_once() {
    let _alone = KILLS.lock().unwrap_or_else(PoisonError::into_inner);
    let database = database();
    kill_upgrades(|name| on_both(&database, name));
}

#[test]
fn a_removal_on_databases_that_is_interrupted_anywhere_leaves_nothing() {
    let _alone = KILLS.lock().unwrap_or_else(PoisonError::into_inner);
    let database = database();
    kill_removals(|name| on_both(&database, name));
}
