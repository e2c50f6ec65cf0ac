//! Where the control plane keeps what it knows: SQLite.
//!
//! All SQL of the control plane is here. Each operation of [`memcloud_control::ControlStore`] is one transaction, synchronized to
//! the disk before it answers.

mod audit;
mod change;
mod database;
mod error;
mod evidence;
mod instances;
mod operations;
mod prune;
mod row;
mod secrets;
mod users;

pub use database::SqliteControlStore;
