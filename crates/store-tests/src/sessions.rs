//! What every engine must do as a [`SessionStore`](memcloud_ports::SessionStore).

use memcloud_domain::Member;
use memcloud_ports::SessionsOf;

use crate::Store;
use crate::samples::some_episodes;
use crate::samples::{batch, space};

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    sessions_collect_their_members(fresh().await).await;
}

/// Members who join later are added to the earlier ones. Sessions are found by space and by member.
pub async fn sessions_collect_their_members(store: Store) {
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
