//! Chat with memory, with a real client of a chat-in for a language model.

mod bad_input;
mod completions;
mod failing;
mod harness;
mod limits;
mod native;
mod profile;
