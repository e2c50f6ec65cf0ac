//! A stand-in for a language model behind an endpoint of `OpenAI`'s shape, for development and tests.
//!
//! It knows nothing: an answer is the sentence of the given context that shares most words with the question, and
//! facts are what a few fixed patterns find. So whatever it says was in what it was shown, and a test that reads it
//! tests the memory. It fails in every way that real endpoints do, when it is told to: see [`Fault`].
//!
//! [`DevModel::start`] runs it inside a test; `memcloud dev-model` runs it by itself. Nothing of the product starts it
//! or leads to it unasked.
//!
//! | route | what |
//! |---|---|
//! | `POST /v1/chat/completions`, `/v1/embeddings`, `GET /v1/models` | as `OpenAI`; the key is the bearer |
//! | `POST /openai/deployments/{name}/chat/completions`, `…/embeddings` | as Azure; the key is in `api-key` |
//! | `GET`, `DELETE /dev/calls` | what was asked: [`Calls`] |
//! | `GET`, `PUT`, `DELETE /dev/faults` | what goes wrong: [`Faults`] |

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
pub use server::{DevModel, Options, StartError};

/// The name under which it lists itself. It answers to any.
pub const NAME: &str = "dev-model";
