use memcloud_api::native::{Health, Live, ModelUsage, Ready};
use reqwest::Method;

use crate::{Client, Error};

impl Client {
    /// Whether the process runs. Makes one attempt.
    pub async fn live(&self) -> Result<Live, Error> {
        self.0.send(self.0.request(Method::GET, &["health", "live"])).await
    }

    /// Whether the memory works, part by part. Makes one attempt. A memory that does not work is an [`Error::Refused`],
    /// which says why.
    pub async fn ready(&self) -> Result<Ready, Error> {
        self.0.send(self.0.request(Method::GET, &["health", "ready"])).await
    }

    /// The version of the server, and which kinds of memory it has. Makes one attempt. A memory that does not work is an
    /// [`Error::Refused`], which says why.
    pub async fn health(&self) -> Result<Health, Error> {
        self.0.send(self.0.request(Method::GET, &["health"])).await
    }

    /// The metrics, in the text format of Prometheus. Makes one attempt.
    pub async fn metrics(&self) -> Result<String, Error> {
        let answer = self.0.answer(self.0.request(Method::GET, &["metrics"])).await?;
        answer.text().await.map_err(|error| self.0.unreachable(error))
    }

    /// How much the language model was used.
    pub async fn usage(&self) -> Result<ModelUsage, Error> {
        self.0.get(&["v1", "usage"], &()).await
    }
}
