//! A stand-in for a language model behind an endpoint of `OpenAI`'s shape, for development and tests.
//!
//! It knows nothing: an answer is the sentence of the given context that shares most words with the question, and
//! facts are the matches of a few fixed patterns. Everything it says was in its input, so a test that reads its
//! answers tests the memory. On demand it fails in every way that real endpoints do: see [`Fault`].
//!
//! [`FakeLlm::start`] runs it inside a test, `cargo run -p memcloud-fake-llm` as a program. No crate of the product
//! depends on it.
//!
//! | route | what |
//! |---|---|
//! | `POST /v1/chat/completions`, `/v1/embeddings`, `GET /v1/models` | as `OpenAI`; the key is the bearer |
//! | `POST /openai/deployments/{name}/chat/completions`, `…/embeddings` | as Azure; the key is in `api-key` |
//! | `GET`, `DELETE /dev/calls` | the calls received: [`Calls`] |
//! | `GET`, `PUT`, `DELETE /dev/faults` | the active faults: [`Faults`] |

#![expect(clippy::disallowed_methods, reason = "a stand-in for a server keeps its own clock and tasks")]

mod answer;
mod body;
mod calls;
mod chat;
mod commands;
mod control;
mod embeddings;
mod fault;
mod faults;
mod merges;
mod models;
mod pause;
mod refusal;
mod reply;
mod request;
mod server;
mod state;
mod statements;
mod stream;
mod whole;
mod words;

pub use calls::{Call, Calls};
pub use fault::{BadFault, Fault};
pub use faults::Faults;
pub use pause::{BadPause, Pause};
pub use request::Kind;
pub use server::{FakeLlm, Options, StartError};

/// The model name that it lists. It accepts any name.
pub const NAME: &str = "fake-llm";
