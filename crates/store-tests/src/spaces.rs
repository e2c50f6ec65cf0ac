//! What every engine promises about spaces.

use memcloud_domain::{
    EpisodeId, Error, Filter, Member, Space, SpaceChanges, SpaceInfo, SpaceState, Timestamp,
};
use memcloud_memory::{ListQuery, Memory, SearchQuery};
use memcloud_ports::{Batch, Counts, FactsOf, Position, SessionsOf};

use crate::Store;
use crate::learned::profile;
use crate::memory::{memory, store};
use crate::samples::{batch, said, some_episodes, space};

/// Runs the stories about spaces on stores that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    spaces_are_listed_and_described(fresh().await).await;
    a_space_is_configured(fresh().await).await;
    a_copied_space_keeps_its_age_and_settings(fresh().await).await;
    a_deleted_space_is_gone(fresh().await).await;
    a_deletion_is_completed_by_another_server(fresh().await).await;
    an_index_of_a_deleted_space_finds_what_is_stored_later(fresh().await).await;
}

async fn names(store: &Store, after: Option<&Space>, limit: usize) -> Vec<String> {
    let spaces = store.spaces.spaces(after, limit).await.unwrap();
    spaces.into_iter().map(|info| info.space.project).collect()
}

async fn spaces_are_listed_and_described(store: Store) {
    for name in ["b", "a", "c"] {
        store.episodes.append(sessions_only(&space(name))).await.unwrap();
    }
    let two = some_episodes(&space("c"), "s", 0..2);
    store.episodes.append(batch(two)).await.unwrap();
    assert_eq!(names(&store, None, 9).await, ["a", "b", "c"]);
    assert_eq!(names(&store, None, 2).await, ["a", "b"]);
    assert_eq!(names(&store, Some(&space("b")), 2).await, ["c"]);
    let (info, counts) = store.spaces.describe_space(&space("c")).await.unwrap().unwrap();
    assert_eq!((info.space, info.description.as_str(), info.learns), (space("c"), "", true));
    assert_eq!(info.state, SpaceState::Active);
    assert!(info.created_at.is_some());
    assert_eq!((counts.episodes, counts.facts), (2, 0));
    assert_eq!(store.spaces.describe_space(&space("d")).await.unwrap(), None);
}

async fn a_space_is_configured(store: Store) {
    let here = space("here");
    let change =
        |description: Option<&str>, learns| SpaceChanges { description: description.map(Into::into), learns };
    assert!(!store.spaces.configure_space(&here, change(Some("x"), None)).await.unwrap(), "unknown");
    let learned = async |episodes| {
        let mut batch = batch(episodes);
        batch.episodes.iter_mut().for_each(|prepared| prepared.fact_targets = vec![profile(&here, "ann")]);
        store.episodes.append(batch).await.unwrap();
        store.learning.waiting(Some(&here)).await.unwrap().waiting
    };
    assert_eq!(learned(some_episodes(&here, "s", 0..2)).await, 2);
    assert!(store.spaces.configure_space(&here, change(Some("our team"), Some(false))).await.unwrap());
    assert_eq!(
        learned(some_episodes(&here, "s", 2..4)).await,
        2,
        "a space that does not learn queues nothing"
    );
    assert!(store.spaces.configure_space(&here, change(None, Some(true))).await.unwrap());
    assert_eq!(learned(some_episodes(&here, "s", 4..5)).await, 3);
    let (info, _) = store.spaces.describe_space(&here).await.unwrap().unwrap();
    assert_eq!((info.description.as_str(), info.learns), ("our team", true));
}

async fn a_copied_space_keeps_its_age_and_settings(store: Store) {
    let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
    let info = SpaceInfo {
        space: space("here"),
        created_at: at(5),
        description: "our team".into(),
        learns: false,
        state: SpaceState::Active,
    };
    let known = async || store.spaces.describe_space(&info.space).await.unwrap().unwrap().0;
    store.spaces.put_space(&info).await.unwrap();
    store.episodes.append(batch(some_episodes(&info.space, "s", 0..2))).await.unwrap();
    assert_eq!(known().await, info);
    for (given, kept) in [(at(9), at(5)), (None, at(5)), (at(3), at(3))] {
        store.spaces.put_space(&SpaceInfo { created_at: given, ..info.clone() }).await.unwrap();
        assert_eq!(known().await.created_at, kept);
    }
    assert!(store.spaces.begin_space_deletion(&info.space).await.unwrap());
    let refused = store.spaces.put_space(&info).await;
    assert!(matches!(refused, Err(Error::SpaceDeleting(_))), "{refused:?}");
}

async fn finds_nothing(memory: &Memory, store: &Store, space: &Space, ids: &[EpisodeId]) {
    assert!(store.episodes.episodes(space, ids).await.unwrap().is_empty());
    assert!(store.episodes.newest(space, "s", 9).await.unwrap().is_empty());
    assert!(store.episodes.page(space, None, None, 9).await.unwrap().is_empty());
    assert!(store.history.changes(space, Position::default(), 9).await.unwrap().unwrap().is_empty());
    assert_eq!(store.history.head(space).await.unwrap(), 0);
    assert_eq!(store.sessions.session(space, "s", 9).await.unwrap(), None);
    for of in [SessionsOf::Space(space.clone()), SessionsOf::User("ann".into())] {
        assert!(
            store
                .sessions
                .sessions(&of, None, 99)
                .await
                .unwrap()
                .sessions
                .iter()
                .all(|session| session.space != *space)
        );
    }
    assert!(
        store
            .sessions
            .sessions(&SessionsOf::Everyone, None, 99)
            .await
            .unwrap()
            .sessions
            .iter()
            .all(|s| !s.space.org.is_empty())
    );
    let of = FactsOf::space(space);
    assert!(store.facts.facts(&of).await.unwrap().is_empty());
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 0);
    assert!(search(memory, space).await.is_empty());
}

async fn search(memory: &Memory, space: &Space) -> Vec<EpisodeId> {
    let filter = Filter::default();
    let query = SearchQuery { space: space.clone(), text: "keys".into(), filter: filter.clone(), limit: 9 };
    let found: Vec<EpisodeId> = memory
        .search(&query.checked(memory.limits()).unwrap())
        .await
        .unwrap()
        .hits
        .iter()
        .map(|hit| hit.episode.id)
        .collect();
    let query = ListQuery { space: space.clone(), session: None, filter, after: None, limit: 9 };
    let mut listed: Vec<EpisodeId> =
        memory.list(&query).await.unwrap().episodes.iter().map(|e| e.id).collect();
    listed.reverse();
    assert_eq!(found.len(), listed.len());
    listed
}

/// A deletion takes effect at once, refuses stores until it is complete, and leaves nothing.
async fn a_deleted_space_is_gone(engine: Store) {
    let memory = memory(engine.clone()).await;
    let (here, other) = (space("here"), space("other"));
    let mut kept = batch(some_episodes(&here, "s", 0..3));
    for prepared in &mut kept.episodes {
        prepared.fact_targets = vec![profile(&here, "ann")];
    }
    let ids: Vec<EpisodeId> = kept.episodes.iter().map(|prepared| prepared.episode.id).collect();
    engine.episodes.append(kept).await.unwrap();
    let others = store(&memory, &other, vec![said("s", "ann", "the keys")]).await;
    assert!(memory.delete_space(&here).await.unwrap());
    assert!(memory.delete_space(&here).await.unwrap(), "a second request is the same deletion");
    assert!(!memory.delete_space(&space("unknown")).await.unwrap());
    finds_nothing(&memory, &engine, &here, &ids).await;
    let (info, counts) = engine.spaces.describe_space(&here).await.unwrap().unwrap();
    assert_eq!((info.state, counts.episodes), (SpaceState::Deleting, 0));
    assert_eq!(names(&engine, None, 9).await, ["here", "other"]);
    for refused in [batch(some_episodes(&here, "s", 3..4)), sessions_only(&here)] {
        let refused = engine.episodes.append(refused).await;
        assert!(matches!(&refused, Err(Error::SpaceDeleting(space)) if *space == here), "{refused:?}");
    }
    assert!(!engine.spaces.configure_space(&here, SpaceChanges::default()).await.unwrap());
    memory.complete_space_deletions().await.unwrap();
    finds_nothing(&memory, &engine, &here, &ids).await;
    assert_eq!(engine.spaces.describe_space(&here).await.unwrap(), None);
    assert!(engine.spaces.hidden_spaces().await.unwrap().is_empty());
    assert_eq!(
        engine.episodes.counts().await.unwrap(),
        Counts { spaces: 1, sessions: 1, episodes: 1, without_vector: 0 }
    );
    assert_eq!(search(&memory, &other).await, others);
}

/// A batch that makes a session known and stores no episode.
fn sessions_only(space: &Space) -> Batch {
    let sessions = vec![("s".to_owned(), vec![Member::User("ann".into())])];
    Batch { space: space.clone(), sessions, episodes: vec![], idempotency: None, intent: None }
}

/// What one server begins, another completes.
async fn a_deletion_is_completed_by_another_server(engine: Store) {
    let (one, two) = (memory(engine.clone()).await, memory(engine.clone()).await);
    let here = space("here");
    store(&one, &here, vec![said("s", "ann", "the keys")]).await;
    assert!(one.delete_space(&here).await.unwrap());
    two.complete_space_deletions().await.unwrap();
    assert_eq!(engine.spaces.describe_space(&here).await.unwrap(), None);
}

/// A server that did not notice the deletion has an index of the deleted space. It finds what is stored in the new one.
async fn an_index_of_a_deleted_space_finds_what_is_stored_later(engine: Store) {
    let (one, two) = (memory(engine.clone()).await, memory(engine.clone()).await);
    let here = space("here");
    for _ in 0..3 {
        store(&one, &here, vec![said("s", "ann", "the keys")]).await;
    }
    assert_eq!(search(&two, &here).await.len(), 3);
    one.delete_space(&here).await.unwrap();
    one.complete_space_deletions().await.unwrap();
    let mut later = Vec::new();
    for content in ["the keys hang here", "the keys are gone", "new keys", "old keys"] {
        later.extend(store(&one, &here, vec![said("s", "ann", content)]).await);
    }
    later.reverse();
    assert_eq!(search(&two, &here).await, later);
}
