use memcloud_api::native::{CreatedKey, Key, Keys, NewKey};
use reqwest::Method;

use crate::{Client, Error};

impl Client {
    /// Makes a key. Makes one attempt: a second one would make another key.
    pub async fn create_key(&self, new: &NewKey) -> Result<CreatedKey, Error> {
        self.0.send(self.0.request(Method::POST, &["v1", "keys"]).json(new)).await
    }

    /// All keys, without their secrets.
    pub async fn keys(&self) -> Result<Keys, Error> {
        self.0.get(&["v1", "keys"], &()).await
    }

    /// Revokes a key for good.
    pub async fn revoke_key(&self, id: &str) -> Result<Key, Error> {
        self.0.send(self.0.request(Method::DELETE, &["v1", "keys", id])).await
    }
}
