//! Sessions: conversations and their members.

use async_trait::async_trait;
use memcloud_domain::{Error, Session, Space};

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

/// Reads sessions. Storing an episode creates its session and adds its members: see [`Batch`](crate::Batch).
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// One session with its members, if it exists.
    async fn session(&self, space: &Space, name: &str) -> Result<Option<Session>, Error>;

    /// Sessions in the order they were first seen.
    async fn sessions(&self, of: SessionsOf) -> Result<Vec<Session>, Error>;
}
