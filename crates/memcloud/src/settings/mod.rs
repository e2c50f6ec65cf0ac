//! Every setting, in one place: from flags, then the environment, then the settings file.
//!
//! A setting has one name, the environment variable. Its key in the TOML file is that name in lower case without
//! `MEMCLOUD_`. A secret can also be given as the path of a file that holds it, under the name with `_FILE`.
//!
//! [`source`] reads them, [`names`] is the table, and each other module resolves one section to plain data.

mod client;
mod data;
mod embedding;
mod engines;
mod inherited;
mod instance;
mod listen;
mod llm;
mod names;
mod notice;
mod source;

pub(crate) use client::{ClientFlags, ConsoleFlags, state_dir};
pub(crate) use data::DataFlags;
pub(crate) use embedding::remote_embedding;
pub(crate) use engines::{engines, postgres_connection};
pub(crate) use inherited::inherited;
pub(crate) use instance::InstanceSettings;
pub(crate) use listen::{ListenAddress, console_address, instance_address, instance_ports, serve_address};
pub(crate) use llm::llm;
pub(crate) use names::*;
pub(crate) use notice::Notice;
pub(crate) use source::Sources;
