//! The words of MemCloud as plain types: no IO, no engine, no wire format.
//!
//! Everything above (the memory, the engines, the server) speaks in these types; each edge converts
//! its own wire or row format from and to them.

#![expect(clippy::disallowed_types, reason = "the clock is defined here")]

mod access;
mod category;
mod database;
mod episode;
mod error;
mod excerpt;
mod fact;
mod fact_set;
mod filter;
mod id;
mod in_flight;
mod invisible;
mod loopback;
mod space;
mod time;
mod userinfo;
mod violation;

pub use access::{
    ApiKey, Caller, ForeignSpace, InvalidKeyId, KeyHash, KeyId, KeyState, Right, Rights, UnknownRight,
    lacks_admin,
};
pub use category::{Category, CategoryOrigin, Tag};
pub use database::{Database, DatabaseErrorKind};
pub use episode::{Episode, Metadata, NewEpisode, Purpose, metadata_size};
pub use error::{Error, Fault, with_causes};
pub use excerpt::excerpt;
pub use fact::{Fact, FactId, FactTarget};
pub use fact_set::{FactScope, FactSet, SetType};
pub use filter::{Attribute, Comparison, Filter, Number, Operand, Scalar, Test};
pub use id::{CategoryId, EpisodeId, SetTypeId, TagId};
pub use in_flight::{InFlight, Reservation};
pub use invisible::{is_invisible, one_line, visible, visible_json};
pub use loopback::is_loopback;
pub use space::{Member, Session, Space, SpaceChanges, SpaceCounts, SpaceInfo, SpaceState};
pub use time::{Clock, SystemClock, TimeRange, Timestamp};
pub use userinfo::{shown_address, without_userinfo};
pub use violation::{Field, Rule, Violation};
