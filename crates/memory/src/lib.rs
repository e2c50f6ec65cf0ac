//! What MemCloud is for: storing episodes so that they last, and finding them again.
//!
//! [`Memory`] is the whole of it for the layers above. Below it are the `memcloud-ports`: the traits that an engine and an
//! embedding model implement. This crate knows no database, no model and no wire.

mod chat;
mod ingest;
mod llm_gate;
mod memory;
pub mod profile;
mod search;
mod text;

pub use chat::{Chat, ChatOptions, Context, Conversation, Done, Event, Failed, Turn};
pub use ingest::{SessionMembers, StoreRequest, Stored};
pub use llm_gate::{Expected, ModelGateway, Permit, Retry, UsageReport};
pub use memory::{Limits, Memory};
pub use profile::{FactHit, Learner, LearnerOptions};
pub use search::{Explanation, Hit, RankingWeights, ScoreBreakdown, SearchQuery, SearchResults};
pub use text::analysis::Analysis;
