//! What holds while rows of facts and API keys cannot be read.

use memcloud_domain::{ApiKey, FactScope, KeyHash, Right};
use memcloud_ports::{AdminRule, FactChanges, Keys, Revocation};

use crate::Store;
use crate::learned::{add_fact, all_facts, current_facts, pet, store_messages, values};
use crate::samples::{minute, space};

/// Damages a fact and a key by assignments of SQL, of which `run` changes what the engine has. They cost themselves.
pub async fn a_damaged_row_costs_itself(
    store: &Store,
    run: impl Fn(&str, &str),
    of_fact: &str,
    of_key: &str,
) {
    let space = space("damaged");
    let scope = FactScope::from(&space);
    let ids = store_messages(store, &space, "ann", 0..4).await;
    let mut facts = Vec::new();
    for (name, cited) in ["Tom", "Mia", "Leo"].into_iter().zip(&ids) {
        facts.push(add_fact(store, &space, pet(name, 0, &[*cited])).await);
    }
    for (name, right) in [("a", Right::Admin), ("b", Right::Admin), ("c", Right::Read)] {
        assert!(store.keys.create_key(key(name, right), AdminRule::Required).await.unwrap());
    }
    run("facts", &format!("SET {of_fact} WHERE id = {}", facts[1]));
    run("api_keys", &format!("SET {of_key} WHERE id = 'b'"));

    assert_eq!(values(&current_facts(store, &space).await), ["Tom", "Leo"]);
    assert_eq!(all_facts(store).await.len(), 2);
    assert_eq!(store.facts.all_facts(Some(facts[0]), 1).await.unwrap()[0].fact.id, facts[2]);
    assert_eq!(store.facts.fact(facts[1]).await.unwrap(), None);
    assert!(store.facts.fact(facts[2]).await.unwrap().is_some());
    add_fact(store, &space, pet("Rex", 0, &ids[3..])).await;
    let changes = FactChanges { value: Some("Tim".into()), ..FactChanges::default() };
    assert!(store.facts.update_fact(&scope, facts[0], &changes).await.unwrap());
    assert!(!store.facts.update_fact(&scope, facts[1], &changes).await.unwrap());
    assert_eq!(values(&current_facts(store, &space).await), ["Tim", "Leo", "Rex"]);

    let Keys { readable, has_unreadable } = store.keys.keys().await.unwrap();
    let names: Vec<&str> = readable.iter().map(|key| key.id.as_str()).collect();
    assert_eq!((&names[..], has_unreadable), (&["a", "c"][..], true));
    // The other admin key may be live, but nothing shows it.
    let last = store.keys.revoke_key(&"a".parse().unwrap(), minute(2), AdminRule::Required).await.unwrap();
    assert_eq!(last, Revocation::LastAdmin);
    let plain = store.keys.revoke_key(&"c".parse().unwrap(), minute(2), AdminRule::Required).await.unwrap();
    assert!(matches!(plain, Revocation::Revoked(_)));

    let found = health(store).await;
    assert!(found.contains(&format!("1 facts cannot be read (rows {})", facts[1])), "{found}");
    assert!(found.contains("1 API keys cannot be read (rows b)"), "{found}");
    assert!(store.facts.delete_fact(&scope, facts[1]).await.unwrap(), "deleting it is a way out");
    assert!(!health(store).await.contains("facts"));
}

async fn health(store: &Store) -> String {
    let checks = store.health.probe().await;
    checks.into_iter().find_map(|check| check.outcome.err()).unwrap().to_string()
}

fn key(name: &str, right: Right) -> ApiKey {
    ApiKey {
        id: name.parse().unwrap(),
        name: name.into(),
        hash: KeyHash([7; 32]),
        rights: [right].into_iter().collect(),
        spaces: None,
        created_at: minute(1),
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    }
}
