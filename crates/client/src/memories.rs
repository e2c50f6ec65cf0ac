use memcloud_api::PrefixedId;
use memcloud_api::memmachine_v1::{
    Batch, ForgetSession, Hit, NewEpisode, SearchAnswer, SearchContent, SearchQuery, Stored,
};
use memcloud_api::native::{BatchStored, Deleted, ListedEpisode, Page};
use reqwest::Method;
use serde::Serialize;

use crate::{Client, Error};

/// Which messages to list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ListQuery {
    /// The group.
    pub group_id: String,
    /// One session of the group; all when `None`.
    pub session_id: Option<String>,
    /// The most messages.
    pub limit: usize,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

impl Client {
    /// Stores a message. Sent under an `Idempotency-Key` of its own.
    pub async fn store(&self, episode: &NewEpisode) -> Result<Stored, Error> {
        let key = format!("{:032x}", rand::random::<u128>());
        self.store_once(&["v1", "memories"], &key, episode).await
    }

    /// Stores messages together. The same key stores them once, however often it is sent.
    pub async fn store_batch(&self, key: &str, batch: &Batch) -> Result<BatchStored, Error> {
        self.store_once(&["v1", "memories", "batch"], key, batch).await
    }

    async fn store_once<T: serde::de::DeserializeOwned>(
        &self,
        path: &[&str],
        key: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.0.repeated(|| self.0.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    /// Finds messages, best first.
    pub async fn search(&self, query: &SearchQuery) -> Result<Vec<Hit>, Error> {
        match self.search_as("list", query).await? {
            SearchAnswer::List(hits) => Ok(hits),
            SearchAnswer::MemMachine(_) => Ok(Vec::new()),
        }
    }

    /// Finds messages and facts in one request, as MemMachine's v1 API answers them.
    pub async fn search_all(&self, query: &SearchQuery) -> Result<SearchContent, Error> {
        match self.search_as("memmachine", query).await? {
            SearchAnswer::MemMachine(found) => Ok(found.content),
            SearchAnswer::List(_) => Ok(SearchContent::default()),
        }
    }

    async fn search_as(&self, shape: &str, query: &SearchQuery) -> Result<SearchAnswer, Error> {
        let path = ["v1", "memories", "search"];
        self.0.repeated(|| self.0.request(Method::POST, &path).query(&[("shape", shape)]).json(query)).await
    }

    /// Lists messages, oldest first.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        self.0.get(&["v1", "memories"], query).await
    }

    /// One message.
    pub async fn episode(&self, group: &str, id: PrefixedId) -> Result<ListedEpisode, Error> {
        self.0.get(&["v1", "memories", &id.0.to_string()], &[("group_id", group)]).await
    }

    /// Deletes a message for good.
    pub async fn delete(&self, group: &str, id: PrefixedId) -> Result<Deleted, Error> {
        let path = ["v1", "memories", &id.0.to_string()];
        self.0.send(self.0.request(Method::DELETE, &path).query(&[("group_id", group)])).await
    }

    /// Deletes the messages of a session for good. The session stays.
    pub async fn forget_session(&self, session: &ForgetSession) -> Result<Deleted, Error> {
        self.0.send(self.0.request(Method::DELETE, &["v1", "memories"]).json(session)).await
    }
}
