//! The bodies of the console's API, below `/api`.

mod access;
mod doctor;
mod google;
mod instances;
mod operations;
mod plan;
mod reason;

pub use access::{
    AuditEntries, AuditEntry, CreatedOrganization, CreatedToken, NewOrganization, NewPassword, NewSignInLink,
    NewToken, NewUser, PasswordSignIn, SignInLink, SignedIn, Token, Tokens, User, UserChanges, Users,
};
pub use doctor::{Doctor, Part};
pub use google::{Aura, GooglePlace};
pub use instances::{
    Accepted, Capability, Clone, Connection, DeleteInstance, Evidence, Instance, Instances, Leftover,
    Leftovers, Llm, LogPart, LogStreamEvent, NewInstance, Upgrade,
};
pub use operations::{Operation, OperationEvent, OperationStreamEvent, Operations, Step};
pub use plan::{Alternative, Check, CostOfMany, PlannedInstance, PlannedStep, Price, PricePart};
pub use reason::Reason;
