//! The bodies of the console's API, below `/api`.

mod access;
mod instances;
mod operations;

pub use access::{
    AuditEntries, AuditEntry, CreatedToken, NewToken, NewUser, PasswordSignIn, SignInLink, SignedIn, Token,
    Tokens, User, UserChanges, Users,
};
pub use instances::{
    Accepted, Capability, Clone, Connection, DeleteInstance, Evidence, Instance, Instances, Leftover,
    Leftovers, Llm, LogPart, NewInstance, PlannedInstance, PlannedStep, Reason, Upgrade,
};
pub use operations::{Operation, OperationEvent, Operations, Step};
