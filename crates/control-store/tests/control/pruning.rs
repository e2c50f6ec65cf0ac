//! Nothing that the control plane keeps only grows.

use std::sync::Arc;

use memcloud_control::access::{Accounts, Role};
use memcloud_control::instances::Settings;
use memcloud_control::operations::{Event, EventKind, OnFailure};
use memcloud_control::{
    AuditStore, Caller, ControlStore, Error, Instance, InstanceChange, Operation, OperationKind,
    OperationState, OperationStore, PageQuery, Plan, Seal, State,
};
use memcloud_domain::Rights;

use crate::scripted::TickingClock;
use crate::store::{at, instance, keep, open, secrets};

/// Thirty-one days, in microseconds.
const MONTH: i64 = 31 * 24 * 60 * 60 * 1_000_000;
const ALL: PageQuery = PageQuery { limit: usize::MAX, cursor: None };

/// Begins an operation and ends it at once.
async fn run(store: &impl ControlStore, instance: &Instance, kind: OperationKind, begun: i64) -> Operation {
    let plan = Plan { steps: vec![], on_failure: OnFailure::Keep };
    let operation = Operation::new(instance, kind, plan, "system".into(), at(begun));
    let entry = Caller::system(instance.organization.clone()).entry(at(begun), "act", "it");
    store.begin_operation(&operation, &entry).await.unwrap();
    end(store, &operation, State::Running, begun).await;
    operation
}

async fn end(store: &impl ControlStore, operation: &Operation, state: State, ended: i64) {
    let event = Event {
        number: 0,
        at: at(ended),
        kind: EventKind::Operation,
        step: None,
        state: OperationState::Succeeded.to_string(),
        message: "done".into(),
    };
    let change = InstanceChange { state: Some((state, None)), ..InstanceChange::default() };
    store.journal_operation(&operation.id, OperationState::Succeeded, None, &event, &change).await.unwrap();
}

#[tokio::test]
async fn the_oldest_operations_of_an_instance_give_way() {
    let (_dir, store) = open();
    let secrets = secrets(&store, &Seal::make_key());
    let made = instance(&"own".parse().unwrap(), "a");
    keep(&store, &secrets, &made, &Settings::default()).await.unwrap();
    let first = store.unfinished_operations().await.unwrap().remove(0);
    end(&*store, &first, State::Running, 6).await;
    let second = run(&*store, &made, OperationKind::Recover, 7).await;
    for begun in 0..199 {
        run(&*store, &made, OperationKind::Recover, 8 + begun).await;
    }
    assert_eq!(store.operations(&made.organization, None, &ALL).await.unwrap().items.len(), 200);
    assert!(matches!(store.operation(&first.id).await, Err(Error::NotFound(_))));
    assert_eq!(store.events(&first.id, 0, 9).await.unwrap(), [], "its events are gone with it");
    assert_eq!(store.operation(&second.id).await.unwrap().state, OperationState::Succeeded);
    assert_eq!(store.events(&second.id, 0, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn operations_of_removed_instances_are_kept_for_a_month() {
    let (_dir, store) = open();
    let secrets = secrets(&store, &Seal::make_key());
    let (gone, stays) =
        (instance(&"own".parse().unwrap(), "gone"), instance(&"own".parse().unwrap(), "stays"));
    for made in [&gone, &stays] {
        keep(&store, &secrets, made, &Settings::default()).await.unwrap();
    }
    for created in store.unfinished_operations().await.unwrap() {
        let state = if created.instance == gone.id { State::Removed } else { State::Running };
        end(&*store, &created, state, 6).await;
    }
    let count =
        async || store.operations(&gone.organization, Some(&gone.id), &ALL).await.unwrap().items.len();
    run(&*store, &stays, OperationKind::Verify, 7).await;
    assert_eq!(count().await, 1);
    run(&*store, &stays, OperationKind::Verify, MONTH).await;
    assert_eq!(count().await, 0);
    assert_eq!(store.operations(&stays.organization, Some(&stays.id), &ALL).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn tokens_that_open_nothing_are_forgotten_after_a_month() {
    let (_dir, store) = open();
    let port: Arc<dyn ControlStore> = store.clone();
    let clock = Arc::new(TickingClock::default());
    let accounts = Accounts::new(port, clock.clone());
    let owner = accounts.first_owner().await.unwrap();
    let caller = Caller::system(owner.organization.clone());
    let user = accounts.create_user(&caller, "vera", Role::Viewer, None).await.unwrap();
    let token =
        async |name| accounts.create_token(&caller, &user.id, name, Rights::ALL, None).await.unwrap().1;
    let (revoked, _used) = (token("revoked").await, token("used").await);
    accounts.revoke_token(&caller, &revoked.id).await.unwrap();
    let names = async || {
        let tokens = accounts.tokens(&caller).await.unwrap();
        tokens.into_iter().map(|token| token.name).collect::<Vec<_>>()
    };
    token("next").await;
    assert_eq!(names().await, ["revoked", "used", "next"]);
    clock.turn(MONTH);
    token("last").await;
    assert_eq!(names().await, ["used", "next", "last"]);
    let entries = store.audit(&owner.organization, &ALL).await.unwrap().items;
    assert!(entries.iter().any(|entry| entry.subject == revoked.id.as_str()), "the audit log still knows it");
}
