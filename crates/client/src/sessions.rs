use memcloud_api::memmachine_v1::Sessions;

use crate::{Client, Error};

impl Client {
    /// All sessions that the key opens, in the order they were first seen.
    pub async fn sessions(&self) -> Result<Sessions, Error> {
        self.get(&["v1", "sessions"], &()).await
    }

    /// The sessions of a group.
    pub async fn sessions_of_group(&self, group: &str) -> Result<Sessions, Error> {
        self.get(&["v1", "groups", group, "sessions"], &()).await
    }

    /// The sessions that a person takes part in.
    pub async fn sessions_of_user(&self, user: &str) -> Result<Sessions, Error> {
        self.get(&["v1", "users", user, "sessions"], &()).await
    }

    /// The sessions that a program takes part in.
    pub async fn sessions_of_agent(&self, agent: &str) -> Result<Sessions, Error> {
        self.get(&["v1", "agents", agent, "sessions"], &()).await
    }
}
