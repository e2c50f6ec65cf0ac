//! The memory itself: it stores episodes durably and finds them again, learns facts about people, and chats with both.
//!
//! [`Memory`] is the entry point for the layers above. Below are the `memcloud-ports`: the traits that engines, embedders
//! and language models implement. This crate knows no database, no HTTP and no model.
//!
//! | module | what it does |
//! |---|---|
//! | `ingest` | checks, analyzes, embeds and stores episodes |
//! | `search` | finds episodes and facts: query, index, filters, ranking |
//! | `profile` | the [`Learner`]: facts about people from what they say |
//! | `chat` | [`Chat`]: recalls, asks the language model, stores both sides |
//! | `llm_gate` | [`ModelGateway`]: budget, retries and circuit breaker before every call of the language model |
//! | `embedding` | the embedder, bound to the store's vector space, with a cache |
//! | `text` | text analysis, shared by ingest and search |

mod chat;
mod compute;
mod embedding;
mod erasure;
mod ingest;
mod limits;
#[cfg(test)]
mod linear;
mod llm_gate;
mod memory;
mod metadata_size;
pub mod profile;
mod search;
mod spaces;
mod text;

pub use chat::{Chat, ChatEvent, ChatOptions, ChatSession, ChatTurn, CompletedTurn, Context, FailedTurn};
pub use ingest::{SessionMembers, StoreRequest, Stored};
pub use limits::{Checked, Limits};
pub use llm_gate::{ModelGateway, ModelRequest, Permit, Retry, TokenEstimate, UsageReport};
pub use memory::Memory;
pub use profile::{Learner, LearnerOptions};
pub use search::{
    Explanation, FactHit, Hit, ListQuery, ListedPage, RankingWeights, ScoreBreakdown, SearchQuery,
    SearchResults,
};
pub use text::analysis::Analysis;
