use memcloud_api::console::{Operation, Operations};
use reqwest::Method;
use serde::Serialize;

use super::{Console, OperationEvents};
use crate::Error;

/// Which operations to list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OperationsQuery {
    /// Only those of the instance with this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The most operations; the console's usual number when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where a page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Console {
    /// Lists operations, newest first.
    pub async fn operations(&self, query: &OperationsQuery) -> Result<Operations, Error> {
        self.0.get(&["api", "operations"], query).await
    }

    /// One operation, with its steps.
    pub async fn operation(&self, id: &str) -> Result<Operation, Error> {
        self.0.get(&["api", "operations", id], &()).await
    }

    /// Asks an operation to stop.
    pub async fn cancel(&self, id: &str) -> Result<Operation, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "operations", id, "cancel"])).await
    }

    /// Runs an operation again that failed or was cancelled, from the first step that is not done.
    pub async fn retry(&self, id: &str) -> Result<Operation, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "operations", id, "retry"])).await
    }

    /// The events of an operation after this number (0 for all of them), up to its end.
    pub fn events(&self, id: &str, after: u64) -> OperationEvents {
        OperationEvents::new(self.0.clone(), &["api", "operations", id, "events"], Vec::new(), after)
    }
}
