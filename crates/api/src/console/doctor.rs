use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reason;

/// Whether the parts of a console work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doctor {
    /// The database, the sealing key and each instance.
    pub parts: Vec<Part>,
}

/// A part that was examined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExaminedPart)]
pub struct Part {
    /// `database`, `sealing_key` or `instance`.
    pub part: String,
    /// The name of the instance; null for other parts.
    pub instance: Option<String>,
    /// `ok`, `failed`, or `changing` while an operation changes it.
    pub state: String,
    /// Why it does not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}
