use memcloud_api::native::{CreatedKey, Key, Keys, NewKey};
use reqwest::Method;
use serde::Serialize;

use super::Console;
use crate::Error;

#[derive(Serialize)]
struct When<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke_at: Option<&'a str>,
}

impl Console {
    /// The keys of an instance, without their secrets.
    pub async fn instance_keys(&self, instance: &str) -> Result<Keys, Error> {
        self.0.get(&["api", "instances", instance, "keys"], &()).await
    }

    /// Makes a key of an instance. Makes one attempt: a second one would make another key.
    pub async fn create_instance_key(&self, instance: &str, new: &NewKey) -> Result<CreatedKey, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "instances", instance, "keys"]).json(new)).await
    }

    /// Revokes a key of an instance: now, or at a later moment (RFC 3339), until which another one replaces it.
    pub async fn revoke_instance_key(
        &self,
        instance: &str,
        key: &str,
        revoke_at: Option<&str>,
    ) -> Result<Key, Error> {
        let path = ["api", "instances", instance, "keys", key];
        self.0.send(self.0.request(Method::DELETE, &path).query(&When { revoke_at })).await
    }
}
