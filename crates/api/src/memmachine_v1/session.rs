use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problems;

/// A session as a body names it. Every field may be left out. The headers of the same names are merged with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct Session {
    /// The group whose memory it is. Nothing is found across groups. Default: the only user, or `default`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[deserr(default)]
    pub group_id: String,
    /// The programs that take part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub agent_id: Option<Vec<String>>,
    /// The people who take part. Default: `["default"]` where no program takes part either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub user_id: Option<Vec<String>>,
    /// The conversation. Default: the only user, or `default`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[deserr(default)]
    pub session_id: String,
}

/// Sessions in the order they were first seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// The sessions.
    pub sessions: Vec<KnownSession>,
}

/// A session with everyone who ever took part in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnownSession {
    /// The people.
    pub user_ids: Vec<String>,
    /// Its name.
    pub session_id: String,
    /// The group it belongs to.
    pub group_id: String,
    /// The programs.
    pub agent_ids: Vec<String>,
}

impl From<memcloud_domain::Session> for KnownSession {
    fn from(session: memcloud_domain::Session) -> Self {
        Self {
            user_ids: session.users().map(str::to_owned).collect(),
            agent_ids: session.agents().map(str::to_owned).collect(),
            group_id: session.space.project,
            session_id: session.name,
        }
    }
}
