//! The local embedding model: a BERT-type sentence encoder on the CPU, inside the process.

mod error;
pub mod tokenizer;

pub use error::Error;
