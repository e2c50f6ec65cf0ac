//! What every engine must do as a [`SessionStore`](memcloud_ports::SessionStore).

use memcloud_domain::Member;
use memcloud_ports::{LISTED_MEMBERS, SessionPage, SessionsOf};

use crate::Store;
use crate::samples::{batch, some_episodes, space};

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    sessions_collect_their_members(fresh().await).await;
    pages_cover_all_sessions_exactly_once(fresh().await).await;
    members_are_found_among_many(fresh().await).await;
}

/// Members who join later are added to the earlier ones. Sessions are found by space and by member.
pub async fn sessions_collect_their_members(store: Store) {
    let space = space("members");
    store.episodes.append(batch(some_episodes(&space, "s", 0..1))).await.unwrap();
    let mut joined = batch(some_episodes(&space, "s", 1..2));
    joined.sessions = vec![("s".into(), vec![Member::User("zoe".into()), Member::User("ann".into())])];
    store.episodes.append(joined).await.unwrap();
    store.episodes.append(batch(some_episodes(&crate::space("members-2"), "t", 2..3))).await.unwrap();
    let session = store.sessions.session(&space, "s", 9).await.unwrap().unwrap();
    assert_eq!(session.users().collect::<Vec<_>>(), ["ann", "zoe"]);
    assert_eq!(session.agents().collect::<Vec<_>>(), ["bot"]);
    assert_eq!(store.sessions.session(&space, "t", 9).await.unwrap(), None);
    let names = async |of| -> Vec<String> {
        store
            .sessions
            .sessions(&of, None, 9)
            .await
            .unwrap()
            .sessions
            .into_iter()
            .map(|session| session.name)
            .collect()
    };
    assert_eq!(names(SessionsOf::Everyone).await, ["s", "t"]);
    assert_eq!(names(SessionsOf::Space(space)).await, ["s"]);
    assert_eq!(names(SessionsOf::User("zoe".into())).await, ["s"]);
    assert_eq!(names(SessionsOf::User("ann".into())).await, ["s", "t"]);
    assert_eq!(names(SessionsOf::User("bot".into())).await, Vec::<String>::new());
    assert_eq!(names(SessionsOf::Agent("bot".into())).await, ["s", "t"]);
}

/// The pages of every kind of list contain each session once, in the order in which they were first seen; also where long
/// names make pages shorter than asked for.
pub async fn pages_cover_all_sessions_exactly_once(store: Store) {
    let space = space("paged");
    let names: Vec<String> = (0..23).rev().map(|n| format!("{n}-{}", "é".repeat(300))).collect();
    for (name, n) in names.iter().zip(0..) {
        let mut stored = batch(some_episodes(&space, name, n..n + 1));
        // Enough that a page is large after a few sessions.
        let members =
            (0..900).map(|m| Member::User(format!("{m:0500}"))).chain([Member::Agent("bot".into())]);
        stored.sessions = vec![(name.clone(), members.collect())];
        store.episodes.append(stored).await.unwrap();
    }
    let of_user = SessionsOf::User(format!("{:0500}", 7));
    for of in [SessionsOf::Everyone, SessionsOf::Space(space), of_user, SessionsOf::Agent("bot".into())] {
        for limit in [1, 4, 100] {
            let (mut listed, mut after, mut pages) = (vec![], None, 0);
            loop {
                let page = store.sessions.sessions(&of, after, limit).await.unwrap();
                assert!(!page.sessions.is_empty() && page.sessions.len() <= limit);
                assert!(page.sessions.iter().all(|session| session.members.len() == 901));
                listed.extend(page.sessions.into_iter().map(|session| session.name));
                after = page.next;
                pages += 1;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(listed, names, "{of:?}, {limit} a page");
            assert!(pages > 1, "a page ends where it is large");
        }
    }
    let nothing = SessionsOf::User("stranger".into());
    assert_eq!(store.sessions.sessions(&nothing, None, 9).await.unwrap(), SessionPage::default());
}

/// Members are looked up by name, and lists show the first of many.
pub async fn members_are_found_among_many(store: Store) {
    let space = space("crowded");
    let mut stored = batch(some_episodes(&space, "s", 0..1));
    let crowd = (0..1_200).map(|n| Member::User(format!("{n:04}"))).chain([Member::Agent("0007".into())]);
    stored.sessions = vec![("s".into(), crowd.collect())];
    store.episodes.append(stored).await.unwrap();
    let names = ["0007", "1199", "1200"].map(str::to_owned);
    let mut found = store.sessions.members(&space, "s", &names).await.unwrap();
    found.sort();
    let expected = [Member::User("0007".into()), Member::User("1199".into()), Member::Agent("0007".into())];
    assert_eq!(found, expected);
    assert!(store.sessions.members(&space, "t", &names).await.unwrap().is_empty());
    let page = store.sessions.sessions(&SessionsOf::Everyone, None, 9).await.unwrap();
    assert_eq!(page.sessions[0].members.len(), LISTED_MEMBERS + 1);
    let first = store.sessions.session(&space, "s", 2).await.unwrap().unwrap();
    assert_eq!(first.users().collect::<Vec<_>>(), ["0000", "0001"]);
}
