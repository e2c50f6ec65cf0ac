use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problems;
use crate::value::Name;

/// A session as a body names it. Every field may be left out. The headers of the same names are merged with it. Each name has up
/// to 1,024 bytes of UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct Session {
    /// The group whose memory it is. Nothing is found across groups. Default: the only user, or `default`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[deserr(default)]
    pub group_id: String,
    /// The programs that take part.
    #[schema(value_type = Option<Vec<Name>>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub agent_id: Option<Vec<String>>,
    /// The people who take part. Default: `["default"]` where no program takes part either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(value_type = Option<Vec<Name>>)]
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
    /// The `cursor` of the next page, where more follow. MemMachine's v1 API does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A session with everyone who ever took part in it, up to a thousand of them.
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
    /// Whether it has more people or programs than are listed; left out where it has not. MemMachine's v1 API does not have
    /// it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more_members: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(truth: &bool) -> bool {
    !truth
}

impl From<memcloud_domain::Session> for KnownSession {
    fn from(session: memcloud_domain::Session) -> Self {
        Self {
            user_ids: session.users().map(str::to_owned).collect(),
            agent_ids: session.agents().map(str::to_owned).collect(),
            group_id: session.space.project,
            session_id: session.name,
            more_members: false,
        }
    }
}
