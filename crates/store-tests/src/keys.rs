//! What every engine must do as a [`KeyStore`].

use memcloud_domain::{ApiKey, KeyHash, KeyId, Right, Space, Timestamp, lacks_admin};
use memcloud_ports::{AdminRule, KeyStore, Revocation};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::Store;

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    created_keys_are_read_back(fresh().await).await;
    the_first_key_manages_keys(fresh().await).await;
    the_last_admin_key_stays_while_others_live(fresh().await).await;
    revocation_is_final(fresh().await).await;
    copied_keys_are_kept_as_they_are(fresh().await).await;
    use_is_noted_forwards(fresh().await).await;
    only_long_ended_keys_are_pruned(fresh().await).await;
    no_history_locks_everyone_out(fresh).await;
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000).unwrap()
}

fn id(name: &str) -> KeyId {
    name.parse().unwrap()
}

fn key(name: &str, rights: &[Right], created: i64) -> ApiKey {
    ApiKey {
        id: id(name),
        name: format!("the key {name}, 'quoted' and ü"),
        hash: KeyHash([name.len() as u8; 32]),
        rights: rights.iter().copied().collect(),
        spaces: None,
        created_at: at(created),
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    }
}

async fn created(store: &dyn KeyStore, key: ApiKey) -> ApiKey {
    assert!(store.create_key(key.clone(), AdminRule::Required).await.unwrap(), "{key:?}");
    key
}

/// Every field of a key comes back as it was given, in the order in which the keys were made.
pub async fn created_keys_are_read_back(store: Store) {
    let store = store.keys.as_ref();
    assert_eq!(store.keys().await.unwrap().readable, []);
    let admin = created(store, key("b", &Right::ALL, 10)).await;
    let spaces = vec![Space { org: "ö/1".into(), project: "a, 'b'".into() }, Space::new("universal", "c")];
    let limited = ApiKey {
        spaces: Some(spaces),
        expires_at: Some(at(1_000)),
        last_used_at: Some(at(20)),
        ..key("a", &[Right::Read], 10)
    };
    let limited = created(store, limited).await;
    let none = created(store, ApiKey { spaces: Some(vec![]), ..key("earlier", &[Right::Write], 5) }).await;
    assert_eq!(store.keys().await.unwrap().readable, [none, limited, admin]);
}

/// Without a live key that can manage keys none is made, unless the settings have one.
pub async fn the_first_key_manages_keys(store: Store) {
    let store = store.keys.as_ref();
    let reader = key("reader", &[Right::Read, Right::Write], 1);
    assert!(!store.create_key(reader.clone(), AdminRule::Required).await.unwrap());
    let limited =
        ApiKey { spaces: Some(vec![Space::new("universal", "g")]), ..key("limited", &Right::ALL, 1) };
    assert!(!store.create_key(limited.clone(), AdminRule::Required).await.unwrap());
    assert_eq!(store.keys().await.unwrap().readable, []);
    assert!(store.create_key(reader.clone(), AdminRule::NotRequired).await.unwrap());
    assert!(store.create_key(key("admin", &[Right::Admin], 2), AdminRule::Required).await.unwrap());
    assert!(store.create_key(limited, AdminRule::Required).await.unwrap());
    // An admin key that has expired when another is made does not count.
    let other = ApiKey { created_at: at(500), ..key("late", &[Right::Read], 500) };
    let ends = store.revoke_key(&id("admin"), at(400), AdminRule::NotRequired).await.unwrap();
    assert!(matches!(ends, Revocation::Revoked(_)));
    assert!(!store.create_key(other, AdminRule::Required).await.unwrap());
}

/// The last key that can manage keys is revoked last, unless the settings have one.
pub async fn the_last_admin_key_stays_while_others_live(store: Store) {
    let store = store.keys.as_ref();
    let required = AdminRule::Required;
    created(store, key("one", &Right::ALL, 1)).await;
    created(store, key("two", &[Right::Admin], 2)).await;
    created(store, key("reader", &[Right::Read], 3)).await;
    let brief = ApiKey { expires_at: Some(at(100)), ..key("brief", &[Right::Read], 4) };
    created(store, brief).await;
    let revoke = async |name: &str, second| store.revoke_key(&id(name), at(second), required).await.unwrap();
    assert!(matches!(revoke("one", 10).await, Revocation::Revoked(_)));
    assert_eq!(revoke("two", 20).await, Revocation::LastAdmin);
    assert_eq!(store.keys().await.unwrap().readable[1].revoked_at, None, "it is still live");
    assert!(matches!(revoke("reader", 30).await, Revocation::Revoked(_)));
    assert_eq!(revoke("two", 40).await, Revocation::LastAdmin, "the brief one is live");
    assert!(matches!(revoke("two", 100).await, Revocation::Revoked(_)), "it is the only live key");
    created(store, key("three", &Right::ALL, 101)).await;
    created(store, key("four", &[Right::Read], 102)).await;
    let without = store.revoke_key(&id("three"), at(110), AdminRule::NotRequired).await.unwrap();
    assert!(matches!(without, Revocation::Revoked(_)));
    created_anyway(store, key("five", &[Right::Write], 120)).await;
    assert!(matches!(revoke("five", 130).await, Revocation::Revoked(_)), "it never could manage keys");
}

async fn created_anyway(store: &dyn KeyStore, key: ApiKey) {
    assert!(store.create_key(key, AdminRule::NotRequired).await.unwrap());
}

/// A key is revoked once: later calls answer the moment of the first.
pub async fn revocation_is_final(store: Store) {
    let store = store.keys.as_ref();
    let key = created(store, key("k", &Right::ALL, 1)).await;
    let revoked = Revocation::Revoked(ApiKey { revoked_at: Some(at(10)), ..key.clone() });
    assert_eq!(store.revoke_key(&key.id, at(10), AdminRule::Required).await.unwrap(), revoked);
    assert_eq!(store.revoke_key(&key.id, at(20), AdminRule::Required).await.unwrap(), revoked);
    assert_eq!(store.keys().await.unwrap().readable[0].revoked_at, Some(at(10)));
    let unknown = store.revoke_key(&id("unknown"), at(10), AdminRule::Required).await.unwrap();
    assert_eq!(unknown, Revocation::Unknown);
}

/// Keys of another store keep every field, and stay revoked whichever side revoked them.
pub async fn copied_keys_are_kept_as_they_are(store: Store) {
    let store = store.keys.as_ref();
    let plain =
        ApiKey { last_used_at: Some(at(20)), expires_at: Some(at(900)), ..key("a", &[Right::Read], 2) };
    let spaces = Some(vec![Space::new("universal", "g")]);
    let revoked = ApiKey { spaces, revoked_at: Some(at(7)), ..key("b", &Right::ALL, 1) };
    let keys = [revoked, plain];
    store.put_keys(&keys).await.unwrap();
    assert_eq!(store.keys().await.unwrap().readable, keys);
    let here = store.revoke_key(&id("a"), at(30), AdminRule::NotRequired).await.unwrap();
    assert!(matches!(here, Revocation::Revoked(_)));
    let there = ApiKey { revoked_at: None, ..keys[0].clone() };
    store.put_keys(&[there, ApiKey { revoked_at: Some(at(40)), ..keys[1].clone() }]).await.unwrap();
    let ends = store.keys().await.unwrap().readable.into_iter().map(|key| key.revoked_at);
    assert_eq!(ends.collect::<Vec<_>>(), [Some(at(7)), Some(at(30))]);
}

/// The last use only moves forward, and unknown keys are not an error.
pub async fn use_is_noted_forwards(store: Store) {
    let store = store.keys.as_ref();
    let key = created(store, key("k", &Right::ALL, 1)).await;
    for (second, noted) in [(10, 10), (30, 30), (20, 30)] {
        store.note_key_use(&key.id, at(second)).await.unwrap();
        assert_eq!(store.keys().await.unwrap().readable[0].last_used_at, Some(at(noted)));
    }
    store.note_key_use(&id("unknown"), at(40)).await.unwrap();
}

/// Live keys and those that ended lately stay.
pub async fn only_long_ended_keys_are_pruned(store: Store) {
    let store = store.keys.as_ref();
    created(store, key("live", &Right::ALL, 1)).await;
    for (name, end) in [("expired", 50), ("lately", 100), ("later", 500)] {
        created(store, ApiKey { expires_at: Some(at(end)), ..key(name, &[Right::Read], 2) }).await;
    }
    created(store, key("revoked", &[Right::Read], 3)).await;
    let revoked = store.revoke_key(&id("revoked"), at(60), AdminRule::Required).await.unwrap();
    assert!(matches!(revoked, Revocation::Revoked(_)));
    assert_eq!(store.prune_keys(at(100)).await.unwrap(), 2);
    let left: Vec<String> =
        store.keys().await.unwrap().readable.iter().map(|key| key.id.to_string()).collect();
    assert_eq!(left, ["live", "lately", "later"]);
    assert_eq!(store.prune_keys(at(100)).await.unwrap(), 0);
}

/// Whatever keys are made and revoked in whatever order: while some are live, one of them can manage keys.
pub async fn no_history_locks_everyone_out<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    let steps = prop::collection::vec((any::<bool>(), 0..6_usize, 0..4_usize), 1..20);
    let mut runner = TestRunner::deterministic();
    for _ in 0..6 {
        let store = fresh().await;
        let store = store.keys.as_ref();
        let steps = steps.new_tree(&mut runner).unwrap().current();
        for (now, (creates, number, rights)) in (1..).zip(steps) {
            let rights: &[Right] =
                [&Right::ALL[..], &[Right::Read], &[Right::Write], &[Right::Admin]][rights];
            let known = store.keys().await.unwrap().readable;
            if creates {
                let name = format!("k{}", known.len());
                store.create_key(key(&name, rights, now), AdminRule::Required).await.unwrap();
            } else {
                let id = id(&format!("k{number}"));
                store.revoke_key(&id, at(now), AdminRule::Required).await.unwrap();
            }
            let keys = store.keys().await.unwrap().readable;
            assert!(!lacks_admin(&keys, at(now)), "{keys:?}");
        }
    }
}
