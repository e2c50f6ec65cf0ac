//! The operations of the port, one by one.

use half::f16;
use memcloud_domain::{Episode, EpisodeId, Error, Member, Purpose, Space};
use memcloud_ports::{Appended, Batch, Change, ChangeKind, Cursor, Deletion, Idempotency, SessionsOf};

use crate::Store;
use crate::episodes::{batch, episode, space};

fn some_episodes(space: &Space, session: &str, numbers: std::ops::Range<i64>) -> Vec<Episode> {
    numbers.map(|n| episode(space, session, n)).collect()
}

async fn history(store: &Store, space: &Space, step: usize) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    loop {
        let after = all.last().map_or(0, |change| change.sequence);
        let changes = store.history.changes(space, after, step).await.unwrap();
        if changes.is_empty() {
            return all;
        }
        all.extend(changes);
    }
}

/// Every field of an episode comes back as it was given, after a batch as after a single store.
pub async fn what_is_appended_is_read_back(store: Store) {
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

/// The head grows by one with every episode, and the history tells each change with what ranking needs.
pub async fn history_tells_every_change_once(store: Store) {
    let space = space("history");
    assert_eq!(store.history.head(&space).await.unwrap(), 0);
    let episodes = some_episodes(&space, "s", 0..7);
    store.episodes.append(batch(episodes[..4].to_vec())).await.unwrap();
    store.episodes.append(batch(episodes[4..].to_vec())).await.unwrap();
    assert_eq!(store.history.head(&space).await.unwrap(), 7);
    store.episodes.delete(&space, Deletion::Episodes(vec![episodes[2].id])).await.unwrap();
    assert_eq!(store.history.head(&space).await.unwrap(), 8);
    for step in [1, 3, 100] {
        let changes = history(&store, &space, step).await;
        let told: Vec<_> = changes.iter().map(|c| (c.sequence, c.id)).collect();
        let expected: Vec<_> = [(1, 0), (2, 1), (4, 3), (5, 4), (6, 5), (7, 6), (8, 2)]
            .map(|(sequence, n): (u64, usize)| (sequence, episodes[n].id))
            .to_vec();
        assert_eq!(told, expected, "in steps of {step}");
        assert!(matches!(changes[6].kind, ChangeKind::Removed));
        let ChangeKind::Put(row) = &changes[0].kind else { panic!("the first change stores") };
        assert_eq!((row.session.as_str(), row.producer.as_str()), ("s", "producer-0"));
        assert_eq!((row.produced_for.as_str(), row.kind.as_str()), ("someone", "message"));
        assert_eq!(row.created_at, episodes[0].created_at.as_micros());
        assert_eq!(row.vector.as_deref(), Some(&[0.6, 0.8].map(f16::from_f32)[..]));
        assert!(memcloud_memory::Analysis::decode(&row.analysis).is_some());
    }
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
    store.episodes.delete(&space, Deletion::Episodes(ids)).await.unwrap();
    assert_eq!(
        store.episodes.repeated(idempotency).await.unwrap(),
        None,
        "what is gone is not called stored"
    );
    assert_eq!(store.episodes.append(named(1, 1, 40)).await.unwrap(), Appended::Stored);
}

/// Walking the pages meets every episode once, in time order, also where many happened at the same moment.
pub async fn pages_cover_a_space_without_gap_or_double(store: Store) {
    let space = space("pages");
    let mut episodes = some_episodes(&space, "s", 0..23);
    for episode in &mut episodes[5..15] {
        episode.created_at = crate::episodes::minute(5);
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

/// Whoever joins a session later is a member beside the earlier ones; sessions are found by space and by member.
pub async fn sessions_unite_their_members(store: Store) {
    let space = space("members");
    store.episodes.append(batch(some_episodes(&space, "s", 0..1))).await.unwrap();
    let mut joined = batch(some_episodes(&space, "s", 1..2));
    joined.sessions = vec![("s".into(), vec![Member::User("zoe".into()), Member::User("ann".into())])];
    store.episodes.append(joined).await.unwrap();
    store.episodes.append(batch(some_episodes(&crate::space("members-2"), "t", 2..3))).await.unwrap();
    let session = store.sessions.session(&space, "s").await.unwrap().unwrap();
    assert_eq!(session.users().collect::<Vec<_>>(), ["ann", "zoe"]);
    assert_eq!(session.agents().collect::<Vec<_>>(), ["bot"]);
    assert_eq!(store.sessions.session(&space, "t").await.unwrap(), None);
    let names = async |of| -> Vec<String> {
        store.sessions.sessions(of).await.unwrap().into_iter().map(|session| session.name).collect()
    };
    assert_eq!(names(SessionsOf::Everyone).await, ["s", "t"]);
    assert_eq!(names(SessionsOf::Space(space)).await, ["s"]);
    assert_eq!(names(SessionsOf::User("zoe".into())).await, ["s"]);
    assert_eq!(names(SessionsOf::User("ann".into())).await, ["s", "t"]);
    assert_eq!(names(SessionsOf::User("bot".into())).await, Vec::<String>::new());
    assert_eq!(names(SessionsOf::Agent("bot".into())).await, ["s", "t"]);
}

/// A deleted episode is in no answer any more; deleting again, or what never was, deletes nothing.
pub async fn deleted_is_gone(store: Store) {
    let space = space("deleted");
    let (kept, gone) = (some_episodes(&space, "kept", 0..3), some_episodes(&space, "gone", 3..6));
    store.episodes.append(batch(kept.clone())).await.unwrap();
    store.episodes.append(batch(gone.clone())).await.unwrap();
    let ids: Vec<EpisodeId> = gone.iter().map(|e| e.id).collect();
    let elsewhere = crate::space("elsewhere");
    assert_eq!(
        store.episodes.delete(&elsewhere, Deletion::Episodes(ids.clone())).await.unwrap(),
        0,
        "not of this space"
    );
    let twice = vec![ids[0], ids[0], EpisodeId::new(crate::episodes::minute(9), 0)];
    assert_eq!(store.episodes.delete(&space, Deletion::Episodes(twice)).await.unwrap(), 1);
    assert_eq!(store.episodes.delete(&space, Deletion::Session("gone".into())).await.unwrap(), 2);
    assert_eq!(store.episodes.delete(&space, Deletion::Session("gone".into())).await.unwrap(), 0);
    assert!(store.episodes.episodes(&space, &ids).await.unwrap().is_empty());
    assert!(store.episodes.newest(&space, "gone", 10).await.unwrap().is_empty());
    assert_eq!(store.episodes.page(&space, None, None, 10).await.unwrap(), kept);
    let told = history(&store, &space, 2).await;
    assert_eq!(told.iter().filter(|c| matches!(c.kind, ChangeKind::Removed)).count(), 3);
    assert_eq!(store.episodes.counts().await.unwrap().episodes, 3);
    assert!(store.sessions.session(&space, "gone").await.unwrap().is_some(), "the session itself stays");
}

/// Vectors of another model are refused.
pub async fn a_store_belongs_to_one_vector_space(store: Store) {
    assert_eq!(store.vectors.vector_space().await.unwrap(), None);
    store.vectors.bind_vector_space("a/model/2").await.unwrap();
    store.vectors.bind_vector_space("a/model/2").await.unwrap();
    assert_eq!(store.vectors.vector_space().await.unwrap().as_deref(), Some("a/model/2"));
    let refused = store.vectors.bind_vector_space("another/model/2").await;
    assert!(matches!(refused, Err(Error::OtherVectorSpace { stored, .. }) if stored == "a/model/2"));
}

/// An episode that was stored without a vector gets one later, and the history tells it as a new change.
pub async fn vectors_can_come_later(store: Store) {
    let space = space("later");
    let mut without = batch(some_episodes(&space, "s", 0..3));
    without.episodes.iter_mut().for_each(|p| p.vector = None);
    without.episodes[2].episode.purpose = Purpose::ProfileOnly;
    let ids: Vec<EpisodeId> = without.episodes.iter().map(|p| p.episode.id).collect();
    store.episodes.append(without).await.unwrap();
    assert_eq!(store.episodes.counts().await.unwrap().without_vector, 2);
    let waiting: Vec<EpisodeId> =
        store.vectors.without_vector(10).await.unwrap().iter().map(|e| e.id).collect();
    assert_eq!(waiting, ids[..2], "what is for the profile only needs none");
    let vector = vec![f16::from_f32(1.0); 2];
    let unknown = EpisodeId::new(crate::episodes::minute(99), 0);
    store.vectors.set_vectors(vec![(ids[0], vector.clone()), (unknown, vector.clone())]).await.unwrap();
    assert_eq!(store.episodes.counts().await.unwrap().without_vector, 1);
    let told = history(&store, &space, 10).await;
    let sequences: Vec<_> = told.iter().map(|c| (c.sequence, c.id)).collect();
    assert_eq!(sequences, [(2, ids[1]), (3, ids[2]), (4, ids[0])]);
    assert!(matches!(&told[2].kind, ChangeKind::Put(row) if row.vector.as_ref() == Some(&vector)));
}

/// What is kept for its conversation only is listed, and it needs no vector.
pub async fn a_transcript_is_only_read(store: Store) {
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
    let changes = history(&store, &space, 10).await;
    let purposes = changes.iter().map(|change| match &change.kind {
        ChangeKind::Put(row) => (change.id, row.purpose),
        ChangeKind::Removed => panic!("nothing was deleted"),
    });
    let stored: Vec<_> = episodes.iter().map(|episode| (episode.id, episode.purpose)).collect();
    assert_eq!(purposes.collect::<Vec<_>>(), stored, "the history has the purpose of every episode");
    assert_eq!(store.vectors.without_vector(10).await.unwrap(), episodes[2..]);
    let counts = store.episodes.counts().await.unwrap();
    assert_eq!((counts.episodes, counts.without_vector), (3, 1));
    assert_eq!(store.episodes.delete(&space, Deletion::Session("s".into())).await.unwrap(), 3);
    assert!(store.episodes.newest(&space, "s", 10).await.unwrap().is_empty());
}

/// Two spaces with equal sessions stay apart in every answer.
pub async fn spaces_know_nothing_of_each_other(store: Store) {
    let (one, two) = (space("one"), space("two"));
    let (here, there) = (some_episodes(&one, "s", 0..2), some_episodes(&two, "s", 2..4));
    store.episodes.append(batch(here.clone())).await.unwrap();
    store.episodes.append(batch(there.clone())).await.unwrap();
    assert_eq!((store.history.head(&one).await.unwrap(), store.history.head(&two).await.unwrap()), (2, 2));
    let ids: Vec<EpisodeId> = here.iter().chain(&there).map(|e| e.id).collect();
    assert_eq!(store.episodes.episodes(&one, &ids).await.unwrap(), here);
    assert_eq!(store.episodes.newest(&two, "s", 10).await.unwrap(), there);
    assert_eq!(history(&store, &one, 10).await.len(), 2);
    store.episodes.delete(&one, Deletion::Session("s".into())).await.unwrap();
    assert_eq!(store.episodes.newest(&two, "s", 10).await.unwrap(), there);
}

/// What asks for nothing, or of nothing, is no error and changes nothing.
pub async fn empty_questions_have_empty_answers(store: Store) {
    let space = space("nothing");
    assert!(store.episodes.episodes(&space, &[]).await.unwrap().is_empty());
    assert!(store.history.changes(&space, 0, 10).await.unwrap().is_empty());
    assert!(store.episodes.newest(&space, "s", 10).await.unwrap().is_empty());
    assert_eq!(store.episodes.delete(&space, Deletion::Episodes(Vec::new())).await.unwrap(), 0);
    assert_eq!(store.episodes.delete(&space, Deletion::Session("s".into())).await.unwrap(), 0);
    store.vectors.set_vectors(Vec::new()).await.unwrap();
    assert!(store.vectors.without_vector(10).await.unwrap().is_empty());
    assert_eq!(store.episodes.counts().await.unwrap(), memcloud_ports::Counts::default());
    // A batch without episodes makes its sessions known, in their order.
    let members = vec![Member::User("ann".into())];
    let sessions = vec![("z".to_owned(), members.clone()), ("a".to_owned(), members)];
    let empty =
        Batch { space: space.clone(), sessions, episodes: Vec::new(), idempotency: None, intent: None };
    assert_eq!(store.episodes.append(empty).await.unwrap(), Appended::Stored);
    let sessions = store.sessions.sessions(SessionsOf::Space(space.clone())).await.unwrap();
    assert_eq!(sessions.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
    assert_eq!(store.history.head(&space).await.unwrap(), 0);
}

/// What the memory lets through, every engine keeps: contents of a mebibyte, as one word and as many, and names of a
/// kibibyte.
pub async fn long_texts_and_names_are_kept(store: Store) {
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
    assert_eq!(store.episodes.delete(&space, Deletion::Session(name)).await.unwrap(), 3);
}
