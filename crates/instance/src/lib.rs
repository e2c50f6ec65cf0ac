//! One memory instance as a library: a [`Config`] in, a running [`Instance`] out.
//!
//! This is the composition root, the only place that names engines and models. `up`, `serve` and tests share it. It reads
//! no settings, prints nothing and ends no process: the caller resolves settings into a [`Config`], gets typed
//! [errors](Error), and follows a [download](Progress) or a [copy] through a callback.

#![expect(clippy::disallowed_types, reason = "the composition root starts the clock")]

mod backlog;
mod config;
pub mod copy;
pub mod embedder;
pub mod engines;
mod error;
mod instance;
mod llm;

pub use config::{Config, Embedding, Engines, Llm, LlmOptions, LocalModel, Profile, RemoteModel};
pub use embedder::{EmbedderInfo, MissingModel, Progress};
pub use error::Error;
pub use instance::{Assembly, Instance, Parts};
pub use memcloud_http::ServeOptions;
