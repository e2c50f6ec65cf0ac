//! The local embedding model: a BERT-type sentence encoder on the CPU, inside the process.
//!
//! [`weights`] finds the files of the model or fetches them, [`Model::load`] reads them, [`Model::embed`]
//! turns texts into vectors. The arithmetic is in `memcloud-kernels`; this crate has no `unsafe` code.

mod error;
mod local;
mod model;
pub mod tokenizer;
pub mod weights;

pub use error::Error;
pub use local::LocalEmbedder;
pub use memcloud_kernels::Isa;
pub use model::{Model, Options};
