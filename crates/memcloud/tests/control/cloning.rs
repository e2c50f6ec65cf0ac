//! Clones and removals of an instance that others use meanwhile.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use memcloud_api::console::{Clone as CloneInstance, DeleteInstance};
use memcloud_api::memmachine_v1::{NewEpisode, Session};
use memcloud_api::native::NewKey;
use memcloud_client::{Client, ListQuery};
use serde_json::json;

use crate::console::eventually;
use crate::up::{Up, embedded};

const GROUP: &str = "g";

impl Up {
    /// A client of an instance with a key of its own.
    fn client_of(&self, id: &str) -> Client {
        let new = NewKey {
            name: "test".into(),
            rights: vec![json!("read"), json!("write")],
            spaces: None,
            expires_at: None,
        };
        let key = self.block_on(self.api.create_instance_key(id, &new)).key;
        Client::new(&self.instance(id).unwrap().url.unwrap(), Some(key.into())).unwrap()
    }

    /// The messages in an instance.
    fn listed(&self, client: &Client) -> BTreeSet<String> {
        let mut query = ListQuery { group_id: GROUP.into(), limit: 1_000, ..ListQuery::default() };
        let mut found = BTreeSet::new();
        loop {
            let page = self.block_on(client.list(&query));
            found.extend(page.episodes.into_iter().map(|listed| listed.episode.content));
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                return found;
            }
        }
    }
}

/// Stores messages until it is over, and notes each once it is answered.
fn write(client: &Client, answered: &Mutex<BTreeSet<String>>, is_over: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let said = format!("message number {number}");
        let episode = NewEpisode {
            session: Some(Session { group_id: GROUP.into(), session_id: "s".into(), ..Session::default() }),
            episode_content: said.clone(),
            ..NewEpisode::default()
        };
        runtime.block_on(client.store(&episode)).unwrap();
        answered.lock().unwrap().insert(said);
    }
}

#[test]
fn a_clone_has_all_that_was_answered_before_it_and_its_source_goes_on() {
    let up = Up::start();
    let source = up.create(&embedded("source"));
    let client = up.client_of(&source.id);
    let (answered, is_over) = (Mutex::<BTreeSet<String>>::default(), AtomicBool::new(false));
    let count = || answered.lock().unwrap().len();
    let (before, clone) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&client, &answered, &is_over));
        eventually("messages are stored", || writer.is_finished() || count() >= 100);
        let before = answered.lock().unwrap().clone();
        let new = CloneInstance { name: "clone".into() };
        let begun = up.block_on(up.api.clone_instance(&source.id, &new));
        let ended = up.ended(&begun.operation);
        let during = count();
        eventually("the source goes on", || writer.is_finished() || count() > during);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(ended.state, "succeeded", "{ended:?}");
        assert!(during > before.len(), "messages were stored meanwhile");
        (before, begun.instance.id)
    });
    let copied = up.listed(&up.client_of(&clone));
    let (all, answered) = (up.listed(&client), answered.into_inner().unwrap());
    assert_eq!(all, answered, "the source has all that was answered");
    assert!(copied.is_superset(&before), "the clone has {} of {}", copied.len(), before.len());
    assert!(all.is_superset(&copied));
}

#[test]
fn of_two_clients_that_delete_an_instance_at_once_one_does() {
    let up = Up::start();
    let before = up.there();
    let instance = up.create(&embedded("one"));
    let how = DeleteInstance { confirm: "one".into(), data: Some("delete".into()) };
    let delete = || up.api.delete_instance(&instance.id, &how);
    let (one, other) = up.block_on::<_, ()>(async { Ok(tokio::join!(delete(), delete())) });
    let (accepted, refused) = if one.is_ok() { (one, other) } else { (other, one) };
    // The second one comes while the instance is removed, or when it is gone.
    let refused = refused.unwrap_err();
    assert!(matches!(refused.refusal().unwrap().status, 404 | 409), "{refused:?}");
    assert_eq!(up.ended(&accepted.unwrap().operation).state, "succeeded");
    assert!(up.instance(&instance.id).is_none());
    assert_eq!(up.there(), before);
}
