//! Chat with memory, with a real client of a stand-in for a language model.

mod bad_input;
mod completions;
mod failing;
mod harness;
mod limits;
mod native;
mod profile;
