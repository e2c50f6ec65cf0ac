use memcloud_api::memmachine_v1::Sessions;
use memcloud_api::native::{DeleteSession, DeleteUser, Deleted};
use reqwest::Method;
use serde::Serialize;

use crate::{Client, Error};

/// Which sessions to list.
#[derive(Clone, Debug)]
pub enum SessionsOf {
    /// All that the key opens.
    Everyone,
    /// Those of this group.
    Group(String),
    /// Those that this person takes part in.
    User(String),
    /// Those that this program takes part in.
    Agent(String),
}

/// Which page of a list of sessions.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SessionsQuery {
    /// The most sessions; the server's usual number when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where a page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Client {
    /// Lists sessions, in the order they were first seen.
    pub async fn sessions(&self, of: &SessionsOf, query: &SessionsQuery) -> Result<Sessions, Error> {
        match of {
            SessionsOf::Everyone => self.0.get(&["v1", "sessions"], query).await,
            SessionsOf::Group(name) => self.0.get(&["v1", "groups", name, "sessions"], query).await,
            SessionsOf::User(name) => self.0.get(&["v1", "users", name, "sessions"], query).await,
            SessionsOf::Agent(name) => self.0.get(&["v1", "agents", name, "sessions"], query).await,
        }
    }

    /// Deletes a session for good, with its messages, members and name.
    pub async fn delete_session(&self, session: &DeleteSession) -> Result<Deleted, Error> {
        self.0.send(self.0.request(Method::DELETE, &["v1", "sessions"]).json(session)).await
    }

    /// Forgets a person in a group for good: messages by and for them, facts about them, and their name in sessions.
    pub async fn delete_user(&self, user: &DeleteUser) -> Result<Deleted, Error> {
        self.0.send(self.0.request(Method::DELETE, &["v1", "users"]).json(user)).await
    }
}
