use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why something is as it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: String,
}
