//! Language and embedding models behind any endpoint of `OpenAI`'s shape: `OpenAI` itself, Azure, Ollama, vLLM,
//! llama.cpp.
//!
//! All of them say that they speak one protocol and each speaks it in its own way: ids are missing, deltas are null,
//! usage has other names, errors come with status 200. So answers are read tolerantly, for the few things that the
//! memory needs to know of them, and are handed on as they came. What cannot be understood is an error, never a guess.
//!
//! The key goes to the endpoint and nowhere else: no redirect is followed, and neither errors nor `Debug` show it.

mod chat;
mod completion;
mod deltas;
mod embedder;
mod endpoint;
mod error;
pub mod events;
mod key;
mod response;
mod retry_after;
mod vectors;

pub use chat::ChatModel;
pub use embedder::RemoteEmbedder;
pub use endpoint::{BadEndpoint, Endpoint, Timeouts};
