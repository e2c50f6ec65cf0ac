//! What MemCloud is for: storing episodes so that they last, and finding them again.
//!
//! [`Memory`] is the whole of it for the layers above. Below it are [`ports`]: the traits that an engine and an
//! embedding model implement. This crate knows no database, no model and no wire.

mod analysis;
mod memory;
pub mod ports;
pub mod profile;
mod search;
mod store;
mod words;

pub use analysis::Analysis;
pub use memory::{Limits, Memory};
pub use search::{Explanation, Found, Hit, Parts, Question, Weights};
pub use store::{Attendance, StoreRequest, Stored};
