//! What every engine promises about deleted sessions and forgotten people.

use memcloud_domain::{
    CategoryId, CategoryOrigin, EpisodeId, FactScope, FactSet, FactTarget, Filter, Member, NewEpisode, Space,
};
use memcloud_memory::{Memory, SearchQuery, SessionMembers, StoreRequest};
use memcloud_ports::{
    Batch, EpisodesOf, FactSets, FactsOf, LISTED_MEMBERS, REMOVALS_KEPT, REMOVED_AT_ONCE, SessionsOf,
};
use uuid::Uuid;

use crate::Store;
use crate::categories::category;
use crate::learned::{current_facts, pet, profile};
use crate::memory::memory;
use crate::samples::{batch, minute, said, some_episodes, space};

/// Runs the stories about deletions on stores that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    a_session_is_deleted_with_its_members(fresh().await).await;
    a_session_with_messages_is_not_removed(fresh().await).await;
    many_members_are_removed_in_steps(fresh().await).await;
    a_person_is_forgotten(fresh().await).await;
    an_organization_knows_a_person_as_long_as_a_space_does(fresh().await).await;
    a_deleted_space_loses_its_sessions(fresh().await).await;
    an_index_that_is_far_behind_finds_what_is_stored(fresh().await).await;
}

async fn sessions(store: &Store, of: SessionsOf) -> Vec<String> {
    let page = store.sessions.sessions(&of, None, 99).await.unwrap();
    page.sessions.into_iter().map(|session| session.name).collect()
}

async fn found(memory: &Memory, space: &Space, limit: i64) -> Vec<EpisodeId> {
    let query = SearchQuery { space: space.clone(), text: "keys".into(), filter: Filter::default(), limit };
    let hits = memory.search(&query.checked(memory.limits()).unwrap()).await.unwrap().hits;
    let mut found: Vec<_> = hits.iter().map(|hit| hit.episode.id).collect();
    found.sort_unstable();
    found
}

async fn store(memory: &Memory, space: &Space, episodes: Vec<NewEpisode>) -> Vec<EpisodeId> {
    let member = |episode: &NewEpisode| SessionMembers {
        session: episode.session.clone(),
        members: vec![Member::User(episode.producer.clone())],
    };
    let members = episodes.iter().map(member).collect();
    let idempotency_key = Some(format!("{} {}", episodes[0].session, episodes[0].content));
    let request = StoreRequest { space: space.clone(), members, episodes, idempotency_key };
    memory.store(request.checked(memory.limits()).unwrap()).await.unwrap().ids
}

/// A deleted session is in no list, and another of its name begins without members and messages.
async fn a_session_is_deleted_with_its_members(engine: Store) {
    let memory = memory(engine.clone()).await;
    let (here, elsewhere) = (space("here"), space("elsewhere"));
    for (space, session) in [(&here, "s"), (&here, "t"), (&elsewhere, "s")] {
        store(&memory, space, vec![said(session, "ann", "the keys"), said(session, "bob", "which keys")])
            .await;
    }
    assert_eq!(found(&memory, &here, 9).await.len(), 4);
    assert_eq!(memory.delete_session(&here, "s").await.unwrap(), Some(2));
    assert_eq!(memory.delete_session(&here, "s").await.unwrap(), None, "it is unknown by now");
    assert_eq!(sessions(&engine, SessionsOf::Space(here.clone())).await, ["t"]);
    assert_eq!(sessions(&engine, SessionsOf::User("ann".into())).await, ["t", "s"]);
    assert_eq!(engine.sessions.session(&here, "s", 9).await.unwrap(), None);
    assert_eq!(engine.episodes.page(&here, Some("s"), None, 9).await.unwrap(), []);
    assert_eq!(engine.episodes.counts().await.unwrap().sessions, 2);
    assert_eq!(found(&memory, &here, 9).await.len(), 2);
    assert_eq!(found(&memory, &elsewhere, 9).await.len(), 2);
    store(&memory, &here, vec![said("s", "cid", "new keys")]).await;
    let again = engine.sessions.session(&here, "s", 9).await.unwrap().unwrap();
    assert_eq!(again.members, [Member::User("cid".into())]);
    assert_eq!(found(&memory, &here, 9).await.len(), 3);
}

/// A session in use stays, also where others are removed with it.
async fn a_session_with_messages_is_not_removed(store: Store) {
    let here = space("used");
    store.episodes.append(batch(some_episodes(&here, "used", 0..2))).await.unwrap();
    let mut empty = batch(some_episodes(&here, "empty", 2..3));
    empty.episodes.clear();
    store.episodes.append(empty).await.unwrap();
    let names = ["empty", "used", "unknown"].map(str::to_owned);
    assert!(!store.sessions.remove_sessions(&here, &names).await.unwrap());
    assert_eq!(sessions(&store, SessionsOf::Everyone).await, ["used"]);
    assert_eq!(store.sessions.session(&here, "used", 9).await.unwrap().unwrap().members.len(), 2);
    assert!(store.sessions.remove_sessions(&here, &names[..1]).await.unwrap());
    assert!(store.sessions.remove_sessions(&space("unknown"), &names).await.unwrap());
    let of = EpisodesOf::Session("used".into());
    assert_eq!(store.episodes.select(&here, &of).await.unwrap().ids.len(), 2);
    assert_eq!(store.episodes.select(&space("unknown"), &of).await.unwrap().ids, []);
}

async fn many_members_are_removed_in_steps(engine: Store) {
    let memory = memory(engine.clone()).await;
    let here = space("crowded");
    let members: Vec<Member> = (0..=REMOVED_AT_ONCE * 2).map(|n| Member::User(format!("user {n}"))).collect();
    let sessions = ["s", "t"].map(|name| (name.to_owned(), members.clone())).to_vec();
    let batch = Batch { space: here.clone(), sessions, episodes: vec![], idempotency: None, intent: None };
    engine.episodes.append(batch).await.unwrap();
    assert_eq!(memory.delete_session(&here, "s").await.unwrap(), Some(0));
    let left = engine.sessions.session(&here, "t", LISTED_MEMBERS).await.unwrap().unwrap();
    assert_eq!(left.members.len(), members.len());
    let many = (0..=REMOVED_AT_ONCE).map(|n| (format!("{n}"), vec![Member::User("ann".into())])).collect();
    let batch =
        Batch { space: here.clone(), sessions: many, episodes: vec![], idempotency: None, intent: None };
    engine.episodes.append(batch).await.unwrap();
    assert_eq!(memory.forget_person(&here, "ann").await.unwrap(), Some(0));
    assert!(sessions_of(&engine, "ann").await.is_empty());
}

async fn sessions_of(store: &Store, user: &str) -> Vec<String> {
    sessions(store, SessionsOf::User(user.into())).await
}

/// Stores a message of a person, facts and categories about them, and messages of others.
async fn know(memory: &Memory, here: &Space, person: &str) {
    let engine = memory.engine();
    let answer = NewEpisode { produced_for: person.into(), ..said("s", "bob", "your keys are here") };
    let others = NewEpisode { produced_for: "bob".into(), ..said("s", "cid", "my keys as well") };
    store(memory, here, vec![said("s", person, "where are my keys"), answer, others]).await;
    let target = profile(here, person);
    engine.facts.add_fact(&target, &pet("Tom", 1, &[]), minute(9)).await.unwrap().unwrap();
    engine.facts.add_fact(&profile(here, "cid"), &pet("Mia", 1, &[]), minute(9)).await.unwrap().unwrap();
    let mut set = target.set.clone();
    set.metadata.insert("topic".into(), "cats".into());
    let narrower = FactTarget { set, category: "work".into() };
    engine.facts.add_fact(&narrower, &pet("Leo", 1, &[]), minute(9)).await.unwrap().unwrap();
    let own = category(1_000, CategoryOrigin::Set(target.set.clone()), "work");
    assert!(engine.categories.put_category(&own).await.unwrap());
    assert!(engine.categories.enable_category(&narrower, false).await.unwrap());
}

async fn a_person_is_forgotten(engine: Store) {
    let memory = memory(engine.clone()).await;
    let (here, elsewhere) = (space("here"), space("elsewhere"));
    know(&memory, &here, "ann").await;
    store(&memory, &elsewhere, vec![said("s", "ann", "more keys")]).await;
    assert_eq!(memory.forget_person(&space("unknown"), "ann").await.unwrap(), None);
    assert_eq!(memory.forget_person(&here, "zoe").await.unwrap(), None);
    assert_eq!(memory.forget_person(&here, "ann").await.unwrap(), Some(2));
    assert_eq!(memory.forget_person(&here, "ann").await.unwrap(), None);
    let left = engine.episodes.page(&here, None, None, 9).await.unwrap();
    assert_eq!(left.iter().map(|episode| episode.producer.as_str()).collect::<Vec<_>>(), ["cid"]);
    assert_eq!(found(&memory, &here, 9).await, [left[0].id]);
    let members = engine.sessions.session(&here, "s", 9).await.unwrap().unwrap().members;
    assert_eq!(members, ["bob", "cid"].map(|name| Member::User(name.into())));
    assert_eq!(current_facts(&engine, &here).await.len(), 1);
    assert_eq!(engine.categories.sets(&(&here).into()).await.unwrap(), [FactSet::about(&here, "cid")]);
    assert_eq!(engine.categories.category(CategoryId(Uuid::from_u128(1_000))).await.unwrap(), None);
    assert!(engine.categories.disabled_categories().await.unwrap().is_empty());
    assert_eq!(sessions_of(&engine, "ann").await, ["s"], "elsewhere nothing has changed");
    assert_eq!(found(&memory, &elsewhere, 9).await.len(), 1);
}

/// What an organization knows about a person goes when the last of its spaces forgets them.
async fn an_organization_knows_a_person_as_long_as_a_space_does(engine: Store) {
    let memory = memory(engine.clone()).await;
    let spaces = [space("one"), space("two")];
    for space in &spaces {
        store(&memory, space, vec![said("s", "ann", "keys"), said("s", "bob", "keys")]).await;
    }
    let scope = FactScope::organization("universal");
    for owner in ["ann", "bob"] {
        let set = FactSet { scope: scope.clone(), ..FactSet::about(&spaces[0], owner) };
        let target = FactTarget { set, category: "work".into() };
        engine.facts.add_fact(&target, &pet("Tom", 1, &[]), minute(9)).await.unwrap().unwrap();
    }
    let facts = async || {
        let of = FactsOf { sets: FactSets::Of(scope.clone()), category: None, as_of: None };
        engine.facts.facts(&of).await.unwrap().len()
    };
    memory.forget_person(&spaces[0], "ann").await.unwrap();
    assert_eq!(facts().await, 2);
    memory.forget_person(&spaces[1], "ann").await.unwrap();
    assert_eq!(facts().await, 1);
}

/// The sessions of a deleted space go in steps, however many there are.
async fn a_deleted_space_loses_its_sessions(engine: Store) {
    let memory = memory(engine.clone()).await;
    let here = space("here");
    let members = vec![Member::User("ann".into()), Member::Agent("bot".into())];
    let sessions = (0..350).map(|n| (format!("session {n}"), members.clone())).collect();
    let batch = Batch { space: here.clone(), sessions, episodes: vec![], idempotency: None, intent: None };
    engine.episodes.append(batch).await.unwrap();
    store(&memory, &here, vec![said("session 7", "ann", "the keys")]).await;
    assert!(memory.delete_space(&here).await.unwrap());
    memory.complete_space_deletions().await.unwrap();
    assert_eq!(engine.episodes.counts().await.unwrap(), memcloud_ports::Counts::default());
}

/// A server whose index has not read removals that are pruned by now builds it again.
async fn an_index_that_is_far_behind_finds_what_is_stored(engine: Store) {
    let (one, two) = (memory(engine.clone()).await, memory(engine.clone()).await);
    let here = space("behind");
    let kept = store(&one, &here, vec![said("s", "ann", "the keys are here")]).await;
    for part in 0..10 {
        let some = 0..REMOVALS_KEPT / 10 + 2;
        let messages = some.map(|n| said("gone", "ann", &format!("keys {part} {n}"))).collect();
        store(&one, &here, messages).await;
    }
    assert_eq!(found(&two, &here, 1_000).await.len(), 1_000);
    assert_eq!(one.delete_session(&here, "gone").await.unwrap(), Some(REMOVALS_KEPT + 20));
    assert_eq!(found(&two, &here, 1_000).await, kept);
    let later = store(&one, &here, vec![said("s", "ann", "more keys")]).await;
    assert_eq!(found(&two, &here, 9).await, [kept[0], later[0]]);
}

/// Deleting a session, a person and a space leaves none of their names behind. `holds` searches everything that the
/// engine keeps for a text.
pub async fn no_name_is_left(engine: Store, holds: impl AsyncFn(&str) -> bool) {
    let memory = memory(engine.clone()).await.learning();
    let [group, session, person, kept] =
        ["zither-group", "xylophone-session", "kazoo-person", "harmonica-kept"];
    let here = space(group);
    let (mut own, kept_one) = (said(session, person, "my keys"), said(kept, person, "more keys"));
    own.role = "user".into();
    own.metadata.insert("caption".into(), "a picture".into());
    store(&memory, &here, vec![own, kept_one]).await;
    know(&memory, &here, person).await;
    store(&memory, &space(kept), vec![said(kept, kept, "other keys")]).await;
    let scope = FactScope::organization("universal");
    let set = FactSet { scope, ..FactSet::about(&here, person) };
    let target = FactTarget { set, category: "work".into() };
    engine.facts.add_fact(&target, &pet("Tom", 1, &[]), minute(9)).await.unwrap().unwrap();
    assert!(!found(&memory, &here, 9).await.is_empty());
    for name in [group, session, person, kept] {
        assert!(holds(name).await, "{name} is found where it is");
    }
    assert_eq!(memory.delete_session(&here, session).await.unwrap(), Some(1));
    assert!(!holds(session).await);
    assert!(holds(person).await);
    assert_eq!(memory.forget_person(&here, person).await.unwrap(), Some(3));
    assert!(!holds(person).await);
    assert!(holds(group).await);
    assert!(memory.delete_space(&here).await.unwrap());
    memory.complete_space_deletions().await.unwrap();
    assert!(!holds(group).await);
    assert!(holds(kept).await);
}
