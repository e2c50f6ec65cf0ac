use memcloud_api::console::{
    CreatedOrganization, NewOrganization, NewPassword, NewSignInLink, PasswordSignIn, SignInLink, SignedIn,
    User,
};
use reqwest::Method;
use serde::de::IgnoredAny;

use super::Console;
use crate::Error;

impl Console {
    /// Signs in with a name and a password. The answer has the token to call the console with.
    pub async fn sign_in(&self, who: &PasswordSignIn) -> Result<SignedIn, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "sign-in"]).json(who)).await
    }

    /// Makes a link that signs a user in once.
    pub async fn sign_in_link(&self, new: &NewSignInLink) -> Result<SignInLink, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "sign-in-links"]).json(new)).await
    }

    /// Changes the caller's own password.
    pub async fn change_password(&self, new: &NewPassword) -> Result<User, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "password"]).json(new)).await
    }

    /// Makes another organization.
    pub async fn create_organization(&self, new: &NewOrganization) -> Result<CreatedOrganization, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "organizations"]).json(new)).await
    }

    /// Ends the sign-in whose token this client shows.
    pub async fn sign_out(&self) -> Result<(), Error> {
        let _: IgnoredAny = self.0.send(self.0.request(Method::DELETE, &["api", "session"])).await?;
        Ok(())
    }
}
