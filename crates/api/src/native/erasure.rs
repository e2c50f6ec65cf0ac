use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problems;

/// The session to delete. Both names are required, and a field that is not described here is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct DeleteSession {
    /// The group that it belongs to.
    #[schema(min_length = 1)]
    pub group_id: String,
    /// Its name.
    #[schema(min_length = 1)]
    pub session_id: String,
}

/// The person to forget. Both names are required, and a field that is not described here is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct DeleteUser {
    /// The group that forgets them.
    #[schema(min_length = 1)]
    pub group_id: String,
    /// Their name.
    #[schema(min_length = 1)]
    pub user_id: String,
}
