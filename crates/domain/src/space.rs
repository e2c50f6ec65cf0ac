use std::fmt;

use serde::{Deserialize, Serialize};
use strum::Display;

use crate::Timestamp;

/// What a memory belongs to. Nothing is ever found across spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Space {
    /// The organization.
    pub org: String,
    /// The project of that organization.
    pub project: String,
}

impl Space {
    /// The space of a project.
    pub fn new(org: impl Into<String>, project: impl Into<String>) -> Self {
        Self { org: org.into(), project: project.into() }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.project)
    }
}

/// What is known of a space apart from what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceInfo {
    /// Its name.
    pub space: Space,
    /// When it was created; `None` when it is older than this record and has no episode.
    pub created_at: Option<Timestamp>,
    /// A description for people; empty when there is none.
    pub description: String,
    /// Whether messages that are stored in it are learned from.
    pub learns: bool,
    /// Whether it can be used.
    pub state: SpaceState,
}

/// Whether a space can be used.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
#[strum(serialize_all = "lowercase")]
pub enum SpaceState {
    /// It can be used.
    Active,
    /// It is being deleted: nothing in it is found, and nothing can be stored in it.
    Deleting,
}

/// How much a space holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceCounts {
    /// Sessions.
    pub sessions: u64,
    /// Episodes.
    pub episodes: u64,
    /// Facts, including those that no longer hold.
    pub facts: u64,
}

/// What to change of a space. `None` leaves a setting as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceChanges {
    /// The new description.
    pub description: Option<String>,
    /// Whether messages that are stored from now on are learned from.
    pub learns: Option<bool>,
}

/// Someone who takes part in a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Member {
    /// A person.
    User(String),
    /// A program.
    Agent(String),
}

impl Member {
    /// The name, whichever kind of member it is.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Agent(name) => name,
        }
    }
}

/// One conversation inside a space, with everyone who was ever named as taking part in it, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The space it belongs to.
    pub space: Space,
    /// Its name, unique in the space.
    pub name: String,
    /// Who takes part: sorted, each once.
    pub members: Vec<Member>,
}

impl Session {
    /// The people of the session, sorted.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter(|member| matches!(member, Member::User(_))).map(Member::name)
    }

    /// The programs of the session, sorted.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter(|member| matches!(member, Member::Agent(_))).map(Member::name)
    }
}
