//! What every engine must do, told once and run on each: the operations of the port ([`port`]), and what a user of a
//! memory over the engine relies on ([`memory`]); what is learned ([`profile`]); for engines that can keep records beside a graph what those must do
//! ([`records`]); and that all of them answer the same ([`agreement`]).
//!
//! An engine's own tests hand in a way to make an empty store:
//!
//! ```text
//! memcloud_store_tests::run(|| async { fresh_store().await }).await;
//! ```

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on has failed")]

pub mod agreement;
mod embedder;
mod episodes;
pub mod filters;
pub mod keys;
pub mod memory;
pub mod port;
pub mod profile;
pub mod records;
pub mod studies;

use memcloud_ports::Engine;

pub use embedder::BagOfWords;
pub use episodes::{episode, said, space};

/// An engine under test.
pub type Store = Engine;

/// Runs everything on stores that `fresh` makes, each empty and of its own.
pub async fn run<F: Future<Output = Store>>(fresh: impl Fn() -> F) {
    port::what_is_appended_is_read_back(fresh().await).await;
    port::history_tells_every_change_once(fresh().await).await;
    port::a_repeated_request_stores_nothing(fresh().await).await;
    port::pages_cover_a_space_without_gap_or_double(fresh().await).await;
    port::sessions_unite_their_members(fresh().await).await;
    port::deleted_is_gone(fresh().await).await;
    port::a_store_belongs_to_one_vector_space(fresh().await).await;
    port::vectors_can_come_later(fresh().await).await;
    port::a_transcript_is_only_read(fresh().await).await;
    port::empty_questions_have_empty_answers(fresh().await).await;
    port::long_texts_and_names_are_kept(fresh().await).await;
    port::spaces_know_nothing_of_each_other(fresh().await).await;
    memory::stored_is_found_at_once(fresh().await).await;
    memory::a_batch_keeps_its_order(fresh().await).await;
    memory::a_history_may_come_backwards(fresh().await).await;
    memory::profile_only_is_never_found(fresh().await).await;
    memory::many_clients_at_once(fresh().await).await;
    memory::a_retry_answers_the_same(fresh().await).await;
    memory::without_a_model_words_find(fresh().await).await;
    profile::run(&fresh).await;
    keys::run(&fresh).await;
}
