//! Sessions: conversations and their members.

use async_trait::async_trait;
use memcloud_domain::{Error, Member, Session, Space};

use crate::READ_BYTES;

/// Which sessions to list.
#[derive(Clone, Debug)]
pub enum SessionsOf {
    /// All of them.
    Everyone,
    /// Those with this user.
    User(String),
    /// Those with this agent.
    Agent(String),
    /// Those of this space.
    Space(Space),
}

/// The place of a session in the order in which sessions were first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCursor(pub i64);

/// A part of a list of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// The sessions, in the order in which they were first seen.
    pub sessions: Vec<Session>,
    /// The last of them, if more follow.
    pub next: Option<SessionCursor>,
}

/// The most members that a list shows of each session.
pub const LISTED_MEMBERS: usize = 1_000;

/// How many members one transaction removes, so that no store waits long for it.
pub const REMOVED_AT_ONCE: usize = 256;

/// Reads and removes sessions. Storing an episode creates its session and adds its members: see [`Batch`](crate::Batch).
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// One session, if it exists, with at most `most_members` of its members. Users come before agents, both by name.
    async fn session(&self, space: &Space, name: &str, most_members: usize)
    -> Result<Option<Session>, Error>;

    /// Those members of a session that have one of these names.
    async fn members(&self, space: &Space, session: &str, names: &[String]) -> Result<Vec<Member>, Error>;

    /// A page of sessions, in the order in which they were first seen. Ends early at [`READ_BYTES`](crate::READ_BYTES). Each
    /// session has one member more than [`LISTED_MEMBERS`] where it has more than those.
    async fn sessions(
        &self,
        of: &SessionsOf,
        after: Option<SessionCursor>,
        limit: usize,
    ) -> Result<SessionPage, Error>;

    /// Removes sessions that have no episodes, with their members; [some](REMOVED_AT_ONCE) members at once. `true` when none
    /// of these names is known any more. `false` when a session has episodes or members are left: then the caller deletes
    /// the episodes and repeats the call.
    async fn remove_sessions(&self, space: &Space, names: &[String]) -> Result<bool, Error>;

    /// Removes a name from the members of all sessions of a space, and what is known about the person of this name: all sets
    /// of the space that have it as their [owner](memcloud_domain::FactSet::OWNER), with facts, queued messages and categories;
    /// and those of the organization when no session of it has this member. `false` when nothing of that is known any
    /// more; until then the caller repeats the call, because [some](REMOVED_AT_ONCE) members are removed at once.
    async fn remove_person(&self, space: &Space, name: &str) -> Result<bool, Error>;
}

/// A page of sessions while it is read.
#[derive(Debug)]
pub struct SessionRows {
    page: SessionPage,
    limit: usize,
    bytes: usize,
    last: Option<SessionCursor>,
}

impl SessionRows {
    /// An empty page.
    pub fn new(limit: usize) -> Self {
        Self { page: SessionPage::default(), limit, bytes: 0, last: None }
    }

    /// Adds a session without members, unless the page is full; then more follow.
    pub fn add(&mut self, place: SessionCursor, space: Space, name: String) -> bool {
        if self.page.sessions.len() == self.limit || self.bytes >= READ_BYTES {
            self.page.next = self.last;
            return false;
        }
        self.last = Some(place);
        self.bytes += size_of::<Session>() + space.org.len() + space.project.len() + name.len();
        self.page.sessions.push(Session { space, name, members: Vec::new() });
        true
    }

    /// Adds a member to the last session.
    pub fn add_member(&mut self, member: Member) {
        self.bytes += size_of::<Member>() + member.name().len();
        if let Some(session) = self.page.sessions.last_mut() {
            session.members.push(member);
        }
    }

    /// The place of the last session.
    pub fn last(&self) -> Option<SessionCursor> {
        self.last
    }

    /// The page.
    pub fn into_page(self) -> SessionPage {
        self.page
    }
}
