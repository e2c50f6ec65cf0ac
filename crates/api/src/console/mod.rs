//! The bodies of the console's API, below `/api`.

mod access;
mod doctor;
mod instances;
mod operations;
mod reason;

pub use access::{
    AuditEntries, AuditEntry, CreatedOrganization, CreatedToken, NewOrganization, NewPassword, NewSignInLink,
    NewToken, NewUser, PasswordSignIn, SignInLink, SignedIn, Token, Tokens, User, UserChanges, Users,
};
pub use doctor::{Doctor, Part};
pub use instances::{
    Accepted, Capability, Clone, Connection, DeleteInstance, Evidence, Instance, Instances, Leftover,
    Leftovers, Llm, LogPart, LogStreamEvent, NewInstance, PlannedInstance, PlannedStep, Upgrade,
};
pub use operations::{Operation, OperationEvent, OperationStreamEvent, Operations, Step};
pub use reason::Reason;
