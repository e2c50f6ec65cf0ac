//! What every engine must do as a [`EpisodeStore`](memcloud_ports::EpisodeStore).

use memcloud_domain::{Episode, EpisodeId, Error, Member, Purpose};
use memcloud_ports::{
    Appended, Batch, ChangeKind, Cursor, EpisodesOf, Idempotency, Position, SessionsOf, delete_all,
};

use crate::Store;
use crate::history::all_changes;
use crate::samples::{batch, minute, some_episodes, space};

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    appended_episodes_are_read_back(fresh().await).await;
    a_repeated_request_stores_nothing(fresh().await).await;
    a_server_whose_clock_is_ahead_forgets_no_request(fresh().await).await;
    pages_cover_a_space_exactly_once(fresh().await).await;
    reads_end_before_they_are_large(fresh().await).await;
    deleted_episodes_are_gone(fresh().await).await;
    transcripts_are_listed_but_need_no_vector(fresh().await).await;
    spaces_are_separate(fresh().await).await;
    empty_requests_change_nothing(fresh().await).await;
    long_texts_and_names_are_stored(fresh().await).await;
}

/// Every field of an episode comes back as it was given, after a batch as after a single store.
pub async fn appended_episodes_are_read_back(store: Store) {
    let space = space("kept");
    let episodes = some_episodes(&space, "s", 0..5);
    assert_eq!(store.episodes.append(batch(episodes.clone())).await.unwrap(), Appended::Stored);
    let ids: Vec<EpisodeId> = episodes.iter().rev().map(|e| e.id).collect();
    let mut read = store.episodes.episodes(&space, &ids).await.unwrap();
    read.reverse();
    assert_eq!(read, episodes, "in the order asked for, field by field");
    assert_eq!(
        store.episodes.newest(&space, "s", 2).await.unwrap(),
        episodes[3..],
        "the newest, oldest first"
    );
    let counts = store.episodes.counts().await.unwrap();
    assert_eq!((counts.spaces, counts.sessions, counts.episodes, counts.without_vector), (1, 1, 5, 0));
    assert!(store.health.probe().await.iter().all(|check| check.outcome.is_ok()));
    assert_eq!(store.episodes.counts().await.unwrap(), counts, "a probe leaves nothing behind");
}

/// A request is forgotten after thirty days with requests, however many others come from a server whose clock is ahead.
pub async fn a_server_whose_clock_is_ahead_forgets_no_request(store: Store) {
    let space = space("clocks");
    let day = 24 * 60;
    let request = |key: u8, days: i64| {
        let idempotency = Idempotency { key: [key; 32], request: [key; 32] };
        let start = days * day + i64::from(key);
        Batch { idempotency: Some(idempotency), ..batch(some_episodes(&space, "s", start..start + 1)) }
    };
    let first = request(1, 0);
    let idempotency = first.idempotency.unwrap();
    let known = async || store.episodes.repeated(idempotency).await.unwrap().is_some();
    store.episodes.append(first).await.unwrap();
    for (key, days) in (2..).zip([40, 40, 40, 4_000, 4_000]) {
        store.episodes.append(request(key, days)).await.unwrap();
        assert!(known().await, "the clock is ahead");
    }
    for (key, days) in (10..).zip(1..=30) {
        store.episodes.append(request(key, days)).await.unwrap();
        assert!(known().await, "it is right again, on day {days}");
    }
    for (key, days) in (50..).zip(31..=39) {
        store.episodes.append(request(key, days)).await.unwrap();
    }
    assert!(!known().await, "more than thirty days have passed");
}

/// The same request twice stores once; the same key for another request is a conflict that changes nothing.
pub async fn a_repeated_request_stores_nothing(store: Store) {
    let space = space("repeated");
    let named = |key: u8, request: u8, n: i64| -> Batch {
        let idempotency = Idempotency { key: [key; 32], request: [request; 32] };
        Batch { idempotency: Some(idempotency), ..batch(some_episodes(&space, "s", n..n + 2)) }
    };
    let first = named(1, 1, 0);
    let ids: Vec<EpisodeId> = first.episodes.iter().map(|p| p.episode.id).collect();
    let idempotency = first.idempotency.unwrap();
    assert_eq!(store.episodes.repeated(idempotency).await.unwrap(), None);
    assert_eq!(store.episodes.append(first).await.unwrap(), Appended::Stored);
    assert_eq!(store.episodes.repeated(idempotency).await.unwrap(), Some(ids.clone()));
    assert_eq!(store.episodes.append(named(1, 1, 10)).await.unwrap(), Appended::Repeated(ids.clone()));
    assert!(matches!(store.episodes.append(named(1, 2, 20)).await, Err(Error::IdempotencyConflict)));
    let conflicting = Idempotency { key: [1; 32], request: [2; 32] };
    assert!(matches!(store.episodes.repeated(conflicting).await, Err(Error::IdempotencyConflict)));
    assert_eq!(store.episodes.append(named(2, 1, 30)).await.unwrap(), Appended::Stored);
    assert_eq!(store.episodes.counts().await.unwrap().episodes, 4);
    assert_eq!(store.history.head(&space).await.unwrap(), 4, "what stores nothing takes no sequence number");
    store.episodes.delete(&space, &ids).await.unwrap();
    assert_eq!(
        store.episodes.repeated(idempotency).await.unwrap(),
        None,
        "a deleted batch is not reported as stored"
    );
    assert_eq!(store.episodes.append(named(1, 1, 40)).await.unwrap(), Appended::Stored);
}

/// The pages contain every episode once, in time order, also where many happened at the same moment.
pub async fn pages_cover_a_space_exactly_once(store: Store) {
    let space = space("pages");
    let mut episodes = some_episodes(&space, "s", 0..23);
    for episode in &mut episodes[5..15] {
        episode.created_at = minute(5);
    }
    store.episodes.append(batch(episodes.clone())).await.unwrap();
    store.episodes.append(batch(some_episodes(&space, "other", 0..3))).await.unwrap();
    episodes.sort_by_key(|e| (e.created_at, e.id));
    for limit in [1, 4, 100] {
        let mut read: Vec<Episode> = Vec::new();
        loop {
            let after = read.last().map(|e| Cursor { created_at: e.created_at.as_micros(), id: e.id });
            let page = store.episodes.page(&space, Some("s"), after, limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            read.extend(page);
        }
        assert_eq!(read, episodes, "{limit} a page");
    }
    assert_eq!(store.episodes.page(&space, None, None, 100).await.unwrap().len(), 26);
    assert!(store.episodes.page(&space, Some("unknown"), None, 100).await.unwrap().is_empty());
    assert!(store.episodes.page(&crate::space("unknown"), None, None, 100).await.unwrap().is_empty());
}

/// Every read of episodes ends where it is large, and reading on finds the rest.
pub async fn reads_end_before_they_are_large(store: Store) {
    let space = space("large");
    let mut episodes = some_episodes(&space, "s", 0..12);
    for episode in &mut episodes {
        episode.content = "x".repeat(700_000);
    }
    for part in episodes.chunks(3) {
        let mut stored = batch(part.to_vec());
        stored.episodes.iter_mut().for_each(|p| p.vector = None);
        store.episodes.append(stored).await.unwrap();
    }
    let is_part = |read: &[Episode]| (1..12).contains(&read.len());
    let ids: Vec<EpisodeId> = episodes.iter().map(|e| e.id).collect();
    assert!(is_part(&store.episodes.episodes(&space, &ids).await.unwrap()));
    assert_eq!(memcloud_ports::read_all(&*store.episodes, &space, &ids).await.unwrap(), episodes);
    let newest = store.episodes.newest(&space, "s", 12).await.unwrap();
    assert!(is_part(&newest) && episodes.ends_with(&newest), "the newest are kept");
    let waiting = store.vectors.without_vector(12).await.unwrap();
    assert!(is_part(&waiting) && episodes.starts_with(&waiting));
    let mut listed: Vec<Episode> = vec![];
    loop {
        let after = listed.last().map(|e| Cursor { created_at: e.created_at.as_micros(), id: e.id });
        let page = store.episodes.page(&space, None, after, 12).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(is_part(&page));
        listed.extend(page);
    }
    assert_eq!(listed, episodes);
}

/// A deleted episode is in no answer. Deleting it again, or an unknown one, deletes nothing.
pub async fn deleted_episodes_are_gone(store: Store) {
    let space = space("deleted");
    let (kept, gone) = (some_episodes(&space, "kept", 0..3), some_episodes(&space, "gone", 3..6));
    store.episodes.append(batch(kept.clone())).await.unwrap();
    store.episodes.append(batch(gone.clone())).await.unwrap();
    let ids: Vec<EpisodeId> = gone.iter().map(|e| e.id).collect();
    let elsewhere = crate::space("elsewhere");
    assert_eq!(
        store.episodes.delete(&elsewhere, &ids).await.unwrap(),
        0,
        "the episodes are in another space"
    );
    let twice = vec![ids[0], ids[0], EpisodeId::new(minute(9), 0)];
    assert_eq!(store.episodes.delete(&space, &twice).await.unwrap(), 1);
    assert_eq!(delete_all(&*store.episodes, &space, &EpisodesOf::Session("gone".into())).await.unwrap(), 2);
    assert_eq!(delete_all(&*store.episodes, &space, &EpisodesOf::Session("gone".into())).await.unwrap(), 0);
    assert!(store.episodes.episodes(&space, &ids).await.unwrap().is_empty());
    assert!(store.episodes.newest(&space, "gone", 10).await.unwrap().is_empty());
    assert_eq!(store.episodes.page(&space, None, None, 10).await.unwrap(), kept);
    let changes = all_changes(&store, &space, 2).await;
    assert_eq!(changes.iter().filter(|c| matches!(c.kind, ChangeKind::Removed)).count(), 3);
    assert_eq!(store.episodes.counts().await.unwrap().episodes, 3);
    assert!(store.sessions.session(&space, "gone", 9).await.unwrap().is_some(), "the session itself stays");
}

/// A transcript-only message is listed, and it needs no vector.
pub async fn transcripts_are_listed_but_need_no_vector(store: Store) {
    let space = space("transcript");
    let mut episodes = some_episodes(&space, "s", 0..3);
    for (episode, purpose) in
        episodes.iter_mut().zip([Purpose::Transcript, Purpose::ProfileOnly, Purpose::Recall])
    {
        episode.purpose = purpose;
    }
    let mut kept = batch(episodes.clone());
    kept.episodes.iter_mut().for_each(|p| p.vector = None);
    store.episodes.append(kept).await.unwrap();
    let ids: Vec<EpisodeId> = episodes.iter().map(|e| e.id).collect();
    assert_eq!(store.episodes.episodes(&space, &ids).await.unwrap(), episodes);
    assert_eq!(store.episodes.page(&space, None, None, 10).await.unwrap(), episodes);
    assert_eq!(store.episodes.page(&space, Some("s"), None, 10).await.unwrap(), episodes);
    let conversation = [episodes[0].clone(), episodes[2].clone()];
    assert_eq!(store.episodes.newest(&space, "s", 10).await.unwrap(), conversation);
    let changes = all_changes(&store, &space, 10).await;
    let purposes = changes.iter().map(|change| match &change.kind {
        ChangeKind::Put(row) => (change.id, row.purpose),
        ChangeKind::Removed => panic!("nothing was deleted"),
    });
    let stored: Vec<_> = episodes.iter().map(|episode| (episode.id, episode.purpose)).collect();
    assert_eq!(purposes.collect::<Vec<_>>(), stored, "the history has the purpose of every episode");
    assert_eq!(store.vectors.without_vector(10).await.unwrap(), episodes[2..]);
    let counts = store.episodes.counts().await.unwrap();
    assert_eq!((counts.episodes, counts.without_vector), (3, 1));
    assert_eq!(delete_all(&*store.episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap(), 3);
    assert!(store.episodes.newest(&space, "s", 10).await.unwrap().is_empty());
}

/// Two spaces with equal sessions are separate in every answer.
pub async fn spaces_are_separate(store: Store) {
    let (one, two) = (space("one"), space("two"));
    let (here, there) = (some_episodes(&one, "s", 0..2), some_episodes(&two, "s", 2..4));
    store.episodes.append(batch(here.clone())).await.unwrap();
    store.episodes.append(batch(there.clone())).await.unwrap();
    assert_eq!((store.history.head(&one).await.unwrap(), store.history.head(&two).await.unwrap()), (2, 2));
    let ids: Vec<EpisodeId> = here.iter().chain(&there).map(|e| e.id).collect();
    assert_eq!(store.episodes.episodes(&one, &ids).await.unwrap(), here);
    assert_eq!(store.episodes.newest(&two, "s", 10).await.unwrap(), there);
    assert_eq!(all_changes(&store, &one, 10).await.len(), 2);
    delete_all(&*store.episodes, &one, &EpisodesOf::Session("s".into())).await.unwrap();
    assert_eq!(store.episodes.newest(&two, "s", 10).await.unwrap(), there);
}

/// An empty request, or one for an unknown space, is not an error and changes nothing.
pub async fn empty_requests_change_nothing(store: Store) {
    let space = space("nothing");
    assert!(store.episodes.episodes(&space, &[]).await.unwrap().is_empty());
    assert!(store.history.changes(&space, Position::default(), 10).await.unwrap().unwrap().is_empty());
    assert!(store.episodes.newest(&space, "s", 10).await.unwrap().is_empty());
    assert_eq!(store.episodes.delete(&space, &[]).await.unwrap(), 0);
    assert_eq!(delete_all(&*store.episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap(), 0);
    store.vectors.set_vectors(Vec::new()).await.unwrap();
    assert!(store.vectors.without_vector(10).await.unwrap().is_empty());
    assert_eq!(store.episodes.counts().await.unwrap(), memcloud_ports::Counts::default());
    // A batch without episodes creates its sessions, in their order.
    let members = vec![Member::User("ann".into())];
    let sessions = vec![("z".to_owned(), members.clone()), ("a".to_owned(), members)];
    let empty =
        Batch { space: space.clone(), sessions, episodes: Vec::new(), idempotency: None, intent: None };
    assert_eq!(store.episodes.append(empty).await.unwrap(), Appended::Stored);
    let sessions =
        store.sessions.sessions(&SessionsOf::Space(space.clone()), None, 9).await.unwrap().sessions;
    assert_eq!(sessions.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
    assert_eq!(store.history.head(&space).await.unwrap(), 0);
}

/// Every engine stores what the memory accepts: contents of a mebibyte, as one word and as many, and names of a
/// kibibyte.
pub async fn long_texts_and_names_are_stored(store: Store) {
    let space = space(&"s/%".repeat(341));
    let name = "é".repeat(512);
    let words: String = (0..150_000).map(|n| format!("{n} ")).collect::<Vec<_>>().concat();
    let contents = ["x".repeat(1 << 20), words[..1 << 19].to_owned(), "\u{1}\u{fffd}'\"\\".into()];
    let mut episodes = some_episodes(&space, &name, 0..3);
    for (episode, content) in episodes.iter_mut().zip(contents) {
        episode.content = content;
        for text in [&mut episode.producer, &mut episode.produced_for, &mut episode.role, &mut episode.kind] {
            text.clone_from(&name);
        }
    }
    let mut long = batch(episodes.clone());
    long.sessions = vec![(name.clone(), vec![Member::User(name.clone())])];
    assert_eq!(store.episodes.append(long).await.unwrap(), Appended::Stored);
    assert_eq!(store.episodes.page(&space, Some(&name), None, 10).await.unwrap(), episodes);
    assert_eq!(delete_all(&*store.episodes, &space, &EpisodesOf::Session(name)).await.unwrap(), 3);
}
