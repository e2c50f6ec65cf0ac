//! What users of a memory over the engine rely on.

use std::sync::Arc;

use memcloud_domain::{EpisodeId, Filter, Member, Metadata, NewEpisode, Purpose, Space};
use memcloud_memory::{
    Checked, Limits, ListQuery, Memory, RankingWeights, SearchQuery, SessionMembers, StoreRequest,
};
use memcloud_ports::{Cursor, EpisodesOf, delete_all};
use proptest::prelude::*;

use crate::filters::{filters, metadata};
use crate::samples::{clock, minute, said, space};
use crate::{BagOfWords, Store};

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    the_next_search_finds_a_stored_message(fresh().await).await;
    a_batch_keeps_its_order(fresh().await).await;
    a_history_can_be_imported_backwards(fresh().await).await;
    profile_only_messages_are_never_found(fresh().await).await;
    concurrent_clients_lose_nothing(fresh().await).await;
    a_retry_returns_the_same_ids(fresh().await).await;
    search_works_without_an_embedder(fresh().await).await;
}

/// A memory over a store, with the embedder of the tests.
pub async fn memory(store: Store) -> Memory {
    let embedder = Some(Arc::new(BagOfWords) as _);
    Memory::open(store, embedder, clock(), Limits::default(), RankingWeights::default()).await.unwrap()
}

fn request(space: &Space, episodes: Vec<NewEpisode>) -> Checked<StoreRequest> {
    unchecked(space, episodes).checked(&Limits::default()).unwrap()
}

fn unchecked(space: &Space, episodes: Vec<NewEpisode>) -> StoreRequest {
    let members = episodes
        .iter()
        .map(|e| SessionMembers {
            session: e.session.clone(),
            members: vec![Member::User(e.producer.clone())],
        })
        .collect();
    StoreRequest { space: space.clone(), members, episodes, idempotency_key: None }
}

pub(crate) async fn store(memory: &Memory, space: &Space, episodes: Vec<NewEpisode>) -> Vec<EpisodeId> {
    memory.store(request(space, episodes)).await.unwrap().ids
}

async fn find(memory: &Memory, space: &Space, text: &str, filter: Filter, limit: i64) -> Vec<EpisodeId> {
    let question = SearchQuery { space: space.clone(), text: text.into(), filter, limit };
    let question = question.checked(memory.limits()).unwrap();
    memory.search(&question).await.unwrap().hits.iter().map(|hit| hit.episode.id).collect()
}

/// All pages of a listing, of this many episodes each.
async fn list(
    memory: &Memory,
    space: &Space,
    session: Option<&str>,
    filter: &Filter,
    limit: usize,
) -> Vec<EpisodeId> {
    let mut query = ListQuery {
        space: space.clone(),
        session: session.map(str::to_owned),
        filter: filter.clone(),
        after: None,
        limit,
    };
    let mut listed = Vec::new();
    loop {
        let page = memory.list(&query).await.unwrap();
        listed.extend(page.episodes.iter().map(|episode| episode.id));
        match page.episodes.last() {
            Some(last) if page.more => {
                query.after = Some(Cursor { created_at: last.created_at.as_micros(), id: last.id });
            }
            _ => return listed,
        }
    }
}

/// The next search finds a stored message, and no longer finds a deleted one.
pub async fn the_next_search_finds_a_stored_message(engine: Store) {
    let (memory, space) = (memory(engine).await, space("at-once"));
    assert!(find(&memory, &space, "Where are the keys?", Filter::default(), 5).await.is_empty());
    let chat =
        ["The keys hang in the hall", "Bread is on the table", "Trains leave at noon", "It rains in June"];
    let mut ids = Vec::new();
    for (n, content) in chat.iter().enumerate() {
        ids.extend(store(&memory, &space, vec![said("s", "ann", content)]).await);
        assert_eq!(find(&memory, &space, content, Filter::default(), 9).await.len(), n + 1);
        assert_eq!(find(&memory, &space, content, Filter::default(), 1).await, ids[n..], "{content}");
    }
    assert_eq!(memory.engine().episodes.delete(&space, &[ids[0]]).await.unwrap(), 1);
    let left = find(&memory, &space, "Where are the keys?", Filter::default(), 9).await;
    assert!(left.len() == 3 && !left.contains(&ids[0]));
    delete_all(&*memory.engine().episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap();
    assert!(find(&memory, &space, "keys", Filter::default(), 9).await.is_empty());
}

/// A batch without times keeps its order.
pub async fn a_batch_keeps_its_order(engine: Store) {
    let (memory, space) = (memory(engine).await, space("order"));
    let said: Vec<_> = (0..300).map(|n| said("s", "ann", &format!("number {n}"))).collect();
    let ids = store(&memory, &space, said).await;
    assert_eq!(list(&memory, &space, None, &Filter::default(), 300).await, ids);
    let newest = memory.engine().episodes.newest(&space, "s", 3).await.unwrap();
    assert_eq!(newest.iter().map(|episode| episode.id).collect::<Vec<_>>(), ids[297..]);
}

/// A history that is imported backwards is ranked like one that was imported in order.
pub async fn a_history_can_be_imported_backwards(engine: Store) {
    let (memory, space) = (memory(engine).await, space("backwards"));
    for n in (0..400).rev() {
        let content =
            if n == 200 { "the treasure is under the oak".to_owned() } else { format!("filler number {n}") };
        let message = NewEpisode { created_at: Some(minute(n)), ..said("s", "ann", &content) };
        store(&memory, &space, vec![message]).await;
    }
    let question = SearchQuery {
        space: space.clone(),
        text: "Where is the treasure?".into(),
        filter: Filter::default(),
        limit: 2,
    };
    let hits = memory.search(&question.checked(memory.limits()).unwrap()).await.unwrap().hits;
    assert_eq!(hits[0].episode.content, "the treasure is under the oak");
    assert_eq!(hits[1].episode.content, "filler number 201", "the following message comes next");
}

/// A profile-only message is stored, but neither searches nor the newest messages include it.
pub async fn profile_only_messages_are_never_found(engine: Store) {
    let (memory, space) = (memory(engine).await, space("profile-only"));
    let private = NewEpisode { purpose: Purpose::ProfileOnly, ..said("s", "ann", "I like plums") };
    let ids = store(&memory, &space, vec![private, said("s", "ann", "I like pears")]).await;
    assert_eq!(find(&memory, &space, "plums", Filter::default(), 9).await, ids[1..]);
    assert_eq!(memory.engine().episodes.newest(&space, "s", 9).await.unwrap().len(), 1);
    assert_eq!(memory.engine().episodes.episodes(&space, &ids).await.unwrap().len(), 2);
}

/// Eight clients store and search at the same time. Each finds what it has just stored, and nothing is lost or doubled.
pub async fn concurrent_clients_lose_nothing(engine: Store) {
    let memory = Arc::new(memory(engine).await);
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let memory = memory.clone();
            tokio::spawn(async move {
                let space = space(if client % 2 == 0 { "even" } else { "odd" });
                for n in 0..12 {
                    let content = format!("thought{client}x{n} of client {client}");
                    let ids = store(&memory, &space, vec![said("s", "ann", &content)]).await;
                    assert_eq!(find(&memory, &space, &content, Filter::default(), 1).await, ids, "{content}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(memory.engine().episodes.counts().await.unwrap().episodes, 96);
    assert_eq!(find(&memory, &space("even"), "thought", Filter::default(), 500).await.len(), 48);
}

/// Concurrent requests with the same key are stored once and return the same ids.
pub async fn a_retry_returns_the_same_ids(engine: Store) {
    let memory = Arc::new(memory(engine).await);
    let space = space("retry");
    let request = StoreRequest {
        idempotency_key: Some("monday".into()),
        ..unchecked(&space, vec![said("s", "ann", "one"), said("s", "bob", "two")])
    };
    let request = request.checked(memory.limits()).unwrap();
    let tries: Vec<_> = (0..6)
        .map(|_| {
            let (memory, request) = (memory.clone(), request.clone());
            tokio::spawn(async move { memory.store(request).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for attempt in tries {
        answers.push(attempt.await.unwrap());
    }
    assert!(answers.iter().all(|answer| answer.ids == answers[0].ids));
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    assert_eq!(list(&memory, &space, None, &Filter::default(), 9).await.len(), 2);
}

/// Without an embedder a memory finds by words. It embeds the backlog when it has an embedder.
pub async fn search_works_without_an_embedder(engine: Store) {
    let open = async |embedder| {
        Memory::open(engine.clone(), embedder, clock(), Limits::default(), RankingWeights::default())
            .await
            .unwrap()
    };
    let space = space("words");
    let wordy = open(None).await;
    let ids =
        store(&wordy, &space, vec![said("s", "ann", "The cat sleeps"), said("s", "ann", "Dogs bark")]).await;
    assert_eq!(find(&wordy, &space, "Is a cat asleep?", Filter::default(), 1).await, ids[..1]);
    let wise = open(Some(Arc::new(BagOfWords) as _)).await;
    assert_eq!(wise.embed_backlog(10).await.unwrap(), 2);
    assert_eq!(wise.embed_backlog(10).await.unwrap(), 0);
    assert_eq!(find(&wise, &space, "dogs bark", Filter::default(), 1).await, ids[1..]);
}

/// An operation of a client.
#[derive(Clone, Debug)]
pub enum Step {
    /// Stores a message in one of three sessions: words, producer, minutes before or after the hour, metadata, purpose.
    Store(u8, Vec<u8>, u8, i64, Metadata, Purpose),
    /// Deletes one of the messages stored so far.
    Delete(usize),
    /// Deletes a session.
    DeleteSession(u8),
    /// Searches, so that the index is brought up to date at this point.
    Search,
}

/// Any steps of a client, and some filters.
pub fn histories() -> impl Strategy<Value = (Vec<Step>, Vec<Filter>)> {
    let purpose = prop_oneof![6 => Just(Purpose::Recall), 1 => Just(Purpose::ProfileOnly), 1 => Just(Purpose::Transcript)];
    let message = (0..3u8, prop::collection::vec(0..12u8, 1..6), 0..3u8, -900..900i64, metadata(), purpose);
    let step = prop_oneof![
        8 => message.prop_map(|(session, words, who, when, metadata, purpose)| {
            Step::Store(session, words, who, when, metadata, purpose)
        }),
        2 => any::<usize>().prop_map(Step::Delete),
        1 => (0..3u8).prop_map(Step::DeleteSession),
        2 => Just(Step::Search),
    ];
    (prop::collection::vec(step, 1..40), prop::collection::vec(filters(), 1..8))
}

const WORDS: [&str; 12] = [
    "apple",
    "river",
    "walking",
    "blue",
    "yesterday",
    "music?",
    "Bob",
    "house",
    "the",
    "seven",
    "June",
    "running",
];
const PEOPLE: [&str; 3] = ["Ann", "Bob", "Cleo"];
const ROLES: [&str; 3] = ["", "user", "assistant"];

/// After any history, an index that was kept up to date answers as a new one, a filter passes exactly the episodes that
/// match it, and a listing has them in order, page by page.
pub async fn index_equals_rebuild_after_any_history(engine: Store, history: (Vec<Step>, Vec<Filter>)) {
    let (steps, filters) = history;
    let space = space("history");
    let kept = memory(engine.clone()).await;
    take(&kept, &space, steps).await;
    let rebuilt = memory(engine).await;
    let stored_now = kept.list(&everything(&space)).await.unwrap().episodes;
    for filter in filters.into_iter().chain([Filter::default()]) {
        let matching: Vec<_> = stored_now.iter().filter(|episode| filter.matches(episode)).collect();
        let ids: Vec<EpisodeId> = matching.iter().map(|episode| episode.id).collect();
        assert_eq!(list(&kept, &space, None, &filter, 3).await, ids, "{filter:?}");
        let session: Vec<EpisodeId> =
            matching.iter().filter(|episode| episode.session == "session-1").map(|e| e.id).collect();
        assert_eq!(list(&rebuilt, &space, Some("session-1"), &filter, 1_000).await, session, "{filter:?}");
        let mut recalled: Vec<EpisodeId> =
            matching.iter().filter(|episode| episode.purpose == Purpose::Recall).map(|e| e.id).collect();
        recalled.sort_unstable();
        for text in ["When did Bob go running?", "a blue river yesterday", "apple"] {
            let mut found = find(&kept, &space, text, filter.clone(), 1_000).await;
            assert_eq!(found, find(&rebuilt, &space, text, filter.clone(), 1_000).await, "{text} {filter:?}");
            found.sort_unstable();
            assert_eq!(found, recalled, "{text} {filter:?}");
        }
    }
}

fn everything(space: &Space) -> ListQuery {
    ListQuery { space: space.clone(), session: None, filter: Filter::default(), after: None, limit: 1_000 }
}

async fn take(memory: &Memory, space: &Space, steps: Vec<Step>) {
    let mut stored = Vec::new();
    for step in steps {
        match step {
            Step::Store(session, words, who, when, metadata, purpose) => {
                let role = ROLES[words.len() % ROLES.len()];
                let words: Vec<&str> = words.iter().map(|&w| WORDS[usize::from(w)]).collect();
                let new = NewEpisode {
                    created_at: Some(minute(when)),
                    metadata,
                    role: role.into(),
                    purpose,
                    ..said(&format!("session-{session}"), PEOPLE[usize::from(who)], &words.join(" "))
                };
                stored.extend(store(memory, space, vec![new]).await);
            }
            Step::Delete(n) if !stored.is_empty() => {
                let id = stored[n % stored.len()];
                memory.engine().episodes.delete(space, &[id]).await.unwrap();
            }
            Step::Delete(_) => {}
            Step::DeleteSession(session) => {
                let of = EpisodesOf::Session(format!("session-{session}"));
                memory.delete_episodes(space, &of).await.unwrap();
            }
            Step::Search => drop(find(memory, space, "apple house", Filter::default(), 3).await),
        }
    }
}
