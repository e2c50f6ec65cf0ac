use memcloud_api::memmachine_v1::{Fact, SearchQuery, SearchResult};
use memcloud_api::native::{DeletedFact, Facts, ProfileQueue, RetriedMessages};
use reqwest::Method;
use serde::Serialize;

use crate::{Client, Error};

/// Which facts to list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FactQuery {
    /// The group.
    pub group_id: String,
    /// The person that the facts are about; everyone when `None`.
    pub user_id: Option<String>,
    /// A time (RFC 3339): the facts that held then; those that hold now when `None`.
    pub as_of: Option<String>,
}

/// Whose messages a queue shows: one group's, or those of all groups that the key opens.
#[derive(Serialize)]
struct OfGroup<'a> {
    group_id: Option<&'a str>,
}

impl Client {
    /// Lists facts, in the order in which they were learned.
    pub async fn facts(&self, query: &FactQuery) -> Result<Facts, Error> {
        self.0.get(&["v1", "memories", "profile"], query).await
    }

    /// Finds facts about the users of a session, best first.
    pub async fn search_facts(&self, query: &SearchQuery) -> Result<Vec<Fact>, Error> {
        let path = ["v1", "memories", "profile", "search"];
        let found: SearchResult = self.0.repeated(|| self.0.request(Method::POST, &path).json(query)).await?;
        Ok(found.content.profile_memory.unwrap_or_default())
    }

    /// Deletes a fact for good, by its number.
    pub async fn delete_fact(&self, group: &str, id: i64) -> Result<DeletedFact, Error> {
        let path = ["v1", "memories", "profile", &id.to_string()];
        self.0.send(self.0.request(Method::DELETE, &path).query(&[("group_id", group)])).await
    }

    /// The messages that wait to be learned from: those of a group, or of all groups.
    pub async fn profile_queue(&self, group: Option<&str>) -> Result<ProfileQueue, Error> {
        self.0.get(&["v1", "memories", "profile", "queue"], &OfGroup { group_id: group }).await
    }

    /// Queues the parked messages of a group, or of all groups, again.
    pub async fn retry_parked(&self, group: Option<&str>) -> Result<RetriedMessages, Error> {
        let path = ["v1", "memories", "profile", "queue", "retry"];
        self.0.send(self.0.request(Method::POST, &path).query(&OfGroup { group_id: group })).await
    }
}
