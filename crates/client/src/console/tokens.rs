use memcloud_api::console::{CreatedToken, NewToken, Tokens};
use reqwest::Method;
use serde::de::IgnoredAny;

use super::Console;
use crate::Error;

impl Console {
    /// The API tokens of the organization, without their secrets.
    pub async fn tokens(&self) -> Result<Tokens, Error> {
        self.0.get(&["api", "tokens"], &()).await
    }

    /// Makes an API token of the caller. Makes one attempt: a second one would make another token.
    pub async fn create_token(&self, new: &NewToken) -> Result<CreatedToken, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "tokens"]).json(new)).await
    }

    /// Revokes an API token for good.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Error> {
        let _: IgnoredAny = self.0.send(self.0.request(Method::DELETE, &["api", "tokens", id])).await?;
        Ok(())
    }
}
