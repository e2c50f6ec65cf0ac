use memcloud_api::console::AuditEntries;
use serde::Serialize;

use super::Console;
use crate::Error;

#[derive(Serialize)]
struct Query<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
}

impl Console {
    /// What was changed, newest first: at most `limit` entries, from where a page before ended.
    pub async fn audit(&self, limit: Option<usize>, cursor: Option<&str>) -> Result<AuditEntries, Error> {
        self.0.get(&["api", "audit"], &Query { limit, cursor }).await
    }
}
