//! Language and embedding models behind any endpoint with `OpenAI`'s API: `OpenAI` itself, Azure, Ollama, vLLM, llama.cpp.
//!
//! Each endpoint implements the API in its own way: ids are missing, deltas are null, usage has other names, errors arrive
//! with status 200. So answers are read tolerantly, for the few fields that the memory needs, and are passed on as received.
//! An answer that cannot be understood is an error, never a guess. What a refusal means is decided in `refusal` alone.
//!
//! The key goes to the endpoint and nowhere else: redirects are not followed, and neither errors nor `Debug` show it.

mod chat;
mod completion;
mod deltas;
mod embedder;
mod endpoint;
mod key;
mod refusal;
mod response;
mod retry_after;
mod vectors;

pub use chat::ChatModel;
pub use embedder::RemoteEmbedder;
pub use endpoint::{BadEndpoint, Endpoint, Timeouts};
