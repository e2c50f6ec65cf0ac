use memcloud_api::native::{CreatedKey, Key, Keys, NewKey};
use reqwest::Method;

use crate::{Client, Error};

impl Client {
    /// Makes a key. Makes one attempt: a second one would make another key.
    pub async fn create_key(&self, new: &NewKey) -> Result<CreatedKey, Error> {
        self.send(self.request(Method::POST, &["v1", "keys"]).json(new)).await
    }

    /// All keys, without their secrets.
    pub async fn keys(&self) -> Result<Keys, Error> {
        self.get(&["v1", "keys"], &()).await
    }

    /// Revokes a key for good.
    pub async fn revoke_key(&self, id: &str) -> Result<Key, Error> {
        self.send(self.request(Method::DELETE, &["v1", "keys", id])).await
    }
}
