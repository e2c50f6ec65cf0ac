use memcloud_api::console::{PasswordSignIn, SignInLink, SignedIn};
use reqwest::Method;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::Console;
use crate::Error;

#[derive(Serialize)]
struct For<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

impl Console {
    /// Signs in with a name and a password. The answer has the token to call the console with.
    pub async fn sign_in(&self, who: &PasswordSignIn) -> Result<SignedIn, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "sign-in"]).json(who)).await
    }

    /// Makes a link that signs in once: the user with this id, or the caller.
    pub async fn sign_in_link(&self, user: Option<&str>) -> Result<SignInLink, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "sign-in-links"]).json(&For { user })).await
    }

    /// Ends the sign-in whose token this client shows.
    pub async fn sign_out(&self) -> Result<(), Error> {
        let _: IgnoredAny = self.0.send(self.0.request(Method::DELETE, &["api", "session"])).await?;
        Ok(())
    }
}
