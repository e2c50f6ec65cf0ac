use memcloud_api::native::{Live, ModelUsage, ProfileQueue, Ready, RetriedMessages};
use reqwest::Method;

use crate::{Client, Error};

impl Client {
    /// Whether the process runs. Makes one attempt.
    pub async fn live(&self) -> Result<Live, Error> {
        self.send(self.request(Method::GET, &["health", "live"])).await
    }

    /// Whether the memory works. Makes one attempt.
    pub async fn ready(&self) -> Result<Ready, Error> {
        self.send(self.request(Method::GET, &["health", "ready"])).await
    }

    /// The messages that wait to be learned from.
    pub async fn profile_queue(&self) -> Result<ProfileQueue, Error> {
        self.get(&["v1", "memories", "profile", "queue"], &()).await
    }

    /// Queues parked messages again.
    pub async fn retry_parked(&self) -> Result<RetriedMessages, Error> {
        let path = ["v1", "memories", "profile", "queue", "retry"];
        self.send(self.request(Method::POST, &path).json(&serde_json::json!({}))).await
    }

    /// How much the language model was used.
    pub async fn usage(&self) -> Result<ModelUsage, Error> {
        self.get(&["v1", "usage"], &()).await
    }
}
