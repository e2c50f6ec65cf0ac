//! What every engine must do, written once and run on each.
//!
//! One module a port has the tests of that port. [`memory`] tests what users of a memory over the engine rely on,
//! [`records`] what an engine must do that keeps records for a graph, and [`agreement`] that all engines give the same
//! answers. [`oracle`] runs any history of operations on an engine and on the engine in memory, and compares every read.
//!
//! The tests of an engine pass a way to open an empty store:
//!
//! ```text
//! memcloud_store_tests::run(|| async { fresh_store().await }).await;
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests compose their own instances, and hold their own tasks"
)]
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on has failed")]

pub mod agreement;
pub mod categories;
pub mod damage;
mod embedder;
pub mod episodes;
pub mod erasure;
pub mod facts;
pub mod filters;
pub mod history;
pub mod keys;
pub mod learned;
pub mod learning_queue;
pub mod memory;
pub mod oracle;
pub mod records;
pub mod revisions;
mod samples;
pub mod sessions;
pub mod spaces;
pub mod usage;
pub mod vectors;

use memcloud_ports::Engine;

pub use embedder::BagOfWords;
pub use samples::{clock, episode, said, space};

/// An engine under test.
pub type Store = Engine;

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: impl Fn() -> F) {
    episodes::run(&fresh).await;
    history::run(&fresh).await;
    sessions::run(&fresh).await;
    vectors::run(&fresh).await;
    facts::run(&fresh).await;
    categories::run(&fresh).await;
    learning_queue::run(&fresh).await;
    usage::run(&fresh).await;
    keys::run(&fresh).await;
    spaces::run(&fresh).await;
    erasure::run(&fresh).await;
    memory::run(&fresh).await;
}
