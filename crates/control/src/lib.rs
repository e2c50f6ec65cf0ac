//! The control plane: instances that are created, verified, watched and removed.
//!
//! An [`Instance`] is a memory server with data, keys and settings of its own. The control plane knows instances and never
//! memories: it talks to one only through its public API, with `memcloud-client`.
//!
//! Whatever is done to an instance is an [`Operation`]: a plan of steps that can be undone, journaled before and after each
//! ([`operations`]). A [`Target`] is where instances run, and turns a plan into steps ([`targets`]). Only an instance that
//! passed the checks of [`verify`] is running. The reconciler ([`reconcile`]) compares what is wanted with what is there.
//!
//! [`ControlStore`] is where all of it is kept; `memcloud-control-store` implements it.

pub mod access;
mod audit;
mod control;
mod doctor;
mod error;
mod id;
pub mod instances;
pub mod operations;
pub mod reconcile;
mod seal;
mod secrets;
mod store;
pub mod targets;
pub mod verify;

pub use audit::{Actor, AuditEntry};
pub use control::{Caller, Control, Data, NewInstance};
pub use doctor::{Examined, Part, PartState};
pub use error::Error;
pub use id::{InstanceId, OperationId, OrganizationId, TokenId, UserId};
pub use instances::{Instance, Name, Reason, State, Topology, Wanted};
pub use operations::{Operation, OperationKind, OperationState, Plan};
pub use seal::{Seal, SealError, Sealed};
pub use secrets::Secrets;
pub use store::{
    AuditStore, ControlStore, EvidenceStore, InstanceChange, InstanceStore, OperationStore, Page, PageQuery,
    SecretStore, UserStore,
};
pub use targets::Target;
