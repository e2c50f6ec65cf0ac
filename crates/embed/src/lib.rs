//! The local embedding model: a BERT-type sentence encoder on the CPU, inside the process.
//!
//! [`weights`] finds the files of the model or fetches them, [`Model::load`] reads them, [`Model::embed`]
//! turns texts into vectors. The arithmetic is in `memcloud-kernels`; this crate has no `unsafe` code.

mod encoder;
mod error;
mod local;
pub mod tokenizer;
pub mod weights;

pub use encoder::{Model, Options};
pub use error::Error;
pub use local::LocalEmbedder;
pub use memcloud_kernels::Isa;
