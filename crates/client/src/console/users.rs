use memcloud_api::console::{NewUser, User, UserChanges, Users};
use reqwest::Method;
use serde::de::IgnoredAny;

use super::Console;
use crate::Error;

impl Console {
    /// The users of the organization, by name.
    pub async fn users(&self) -> Result<Users, Error> {
        self.0.get(&["api", "users"], &()).await
    }

    /// Makes a user.
    pub async fn create_user(&self, new: &NewUser) -> Result<User, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "users"]).json(new)).await
    }

    /// Changes a user.
    pub async fn change_user(&self, id: &str, changes: &UserChanges) -> Result<User, Error> {
        self.0.send(self.0.request(Method::PATCH, &["api", "users", id]).json(changes)).await
    }

    /// Removes a user with its tokens and sign-ins.
    pub async fn remove_user(&self, id: &str) -> Result<(), Error> {
        let _: IgnoredAny = self.0.send(self.0.request(Method::DELETE, &["api", "users", id])).await?;
        Ok(())
    }
}
