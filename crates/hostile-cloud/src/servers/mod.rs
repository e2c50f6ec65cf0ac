//! What is really there: databases, and the servers of services.

mod container;
mod graph;
mod postgres;
mod proxy;

pub(crate) use container::{Container, Containers, Image, Probe, Spec};
pub(crate) use graph::Graphs;
pub(crate) use postgres::{Database, Databases};
pub(crate) use proxy::{Door, Entrance, Place};
