//! Instances on real databases: every way to them, several servers at once, and whatever may befall a database.

mod bad_settings;
mod chatting;
mod damage;
mod faults;
pub(crate) mod harness;
mod moving;
mod released;
mod several;
mod ways;
