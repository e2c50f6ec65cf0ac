//! Where the control plane keeps what it knows: the port that `memcloud-control-store` implements.
//!
//! Every operation is one transaction, durable when it answers. A change takes its audit entry, so no change is without one.

use async_trait::async_trait;
use memcloud_domain::Timestamp;
use serde_json::Value;

use crate::access::{Password, Role, SignIn, Token, TokenHash, User};
use crate::instances::{Instance, Reason, State, Topology, Wanted};
use crate::operations::{Event, Operation, OperationState, StepRecord};
use crate::seal::Sealed;
use crate::verify::Evidence;
use crate::{AuditEntry, Error, InstanceId, OperationId, OrganizationId, TokenId, UserId};

/// A part of a list, and where the next one begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for the next page with; `None` at the end.
    pub next: Option<String>,
}

/// Which part of a list to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// The most items.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// What changes about an instance. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceChange {
    /// What it keeps its memory in.
    pub topology: Option<Topology>,
    /// Whether it has a language model.
    pub has_llm: Option<bool>,
    /// What it should be.
    pub wanted: Option<Wanted>,
    /// What it is, and why.
    pub state: Option<(State, Option<Reason>)>,
    /// Where it listens.
    pub url: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// What its target keeps about it.
    pub placement: Option<Value>,
}

/// Instances.
#[async_trait]
pub trait InstanceStore: Send + Sync {
    /// Keeps a new instance, its sealed settings and its first operation.
    ///
    /// [`Error::NameTaken`] if another instance of the organization that is not removed has the name.
    async fn create_instance(
        &self,
        instance: &Instance,
        settings: &Sealed,
        operation: &Operation,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// The instance, also when it is removed.
    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error>;

    /// Instances that are not removed, by name: those of an organization, or all.
    async fn instances(
        &self,
        organization: Option<&OrganizationId>,
        name: Option<&str>,
        page: &PageQuery,
    ) -> Result<Page<Instance>, Error>;

    /// Instances that were removed with their data kept, by when they were removed.
    async fn removed_instances(&self) -> Result<Vec<Instance>, Error>;

    /// Changes an instance.
    async fn change_instance(
        &self,
        id: &InstanceId,
        change: &InstanceChange,
        at: Timestamp,
    ) -> Result<(), Error>;
}

/// Operations and their journal.
#[async_trait]
pub trait OperationStore: Send + Sync {
    /// Keeps a new operation, and sets what is wanted of its instance by its kind. The instance is `queued`, except for a
    /// verification or a recovery, which leave its state.
    ///
    /// [`Error::Busy`] if another operation of the instance has not ended.
    async fn begin_operation(&self, operation: &Operation, audit: &AuditEntry) -> Result<(), Error>;

    /// The operation with its steps.
    async fn operation(&self, id: &OperationId) -> Result<Operation, Error>;

    /// Operations, newest first: of an organization, and of one instance if it is named.
    async fn operations(
        &self,
        organization: &OrganizationId,
        instance: Option<&InstanceId>,
        page: &PageQuery,
    ) -> Result<Page<Operation>, Error>;

    /// The operations that have not ended, oldest first.
    async fn unfinished_operations(&self) -> Result<Vec<Operation>, Error>;

    /// Writes a step to the journal with its event, and sets the state of the instance, if a state is given.
    async fn journal_step(
        &self,
        operation: &OperationId,
        step: &StepRecord,
        event: &Event,
        state: Option<State>,
    ) -> Result<(), Error>;

    /// Keeps an event that changes nothing.
    async fn journal_event(&self, operation: &OperationId, event: &Event) -> Result<(), Error>;

    /// Sets the state of an operation, with its event. When it ends, the change of its instance is made together with it,
    /// and the instance is free for the next operation.
    async fn journal_operation(
        &self,
        operation: &OperationId,
        state: OperationState,
        reason: Option<&Reason>,
        event: &Event,
        change: &InstanceChange,
    ) -> Result<(), Error>;

    /// Asks an operation to stop. [`Error::WrongState`] if it has ended.
    async fn cancel_operation(&self, id: &OperationId, audit: &AuditEntry) -> Result<(), Error>;

    /// Queues an operation again that failed or was cancelled. [`Error::WrongState`] if it has not or if a newer operation
    /// of its instance exists; [`Error::Busy`] if another one of its instance has not ended.
    async fn retry_operation(&self, id: &OperationId, audit: &AuditEntry) -> Result<(), Error>;

    /// The events of an operation after this number, in order, at most `limit`.
    async fn events(&self, id: &OperationId, after: u64, limit: usize) -> Result<Vec<Event>, Error>;
}

/// What instances were seen to do.
#[async_trait]
pub trait EvidenceStore: Send + Sync {
    /// Keeps what a verification found. It replaces what an earlier one found about the same criteria.
    async fn keep_evidence(&self, instance: &InstanceId, evidence: &[Evidence]) -> Result<(), Error>;

    /// The newest evidence of each criterion.
    async fn evidence(&self, instance: &InstanceId) -> Result<Vec<Evidence>, Error>;

    /// The newest evidence of each criterion of these instances.
    async fn evidence_of(&self, instances: &[InstanceId]) -> Result<Vec<(InstanceId, Evidence)>, Error>;
}

/// Sealed settings of instances.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The sealed settings of an instance. [`Error::NotFound`] after they were removed.
    async fn sealed_settings(&self, instance: &InstanceId) -> Result<Sealed, Error>;

    /// Replaces them.
    async fn replace_settings(
        &self,
        instance: &InstanceId,
        settings: &Sealed,
        audit: Option<&AuditEntry>,
    ) -> Result<(), Error>;

    /// Removes them. Removing them again does nothing.
    async fn remove_settings(&self, instance: &InstanceId) -> Result<(), Error>;

    /// Every instance that has settings, with the key that sealed them.
    async fn sealing_keys(&self) -> Result<Vec<(InstanceId, String)>, Error>;

    /// Notes that a key of an instance is to be revoked at this moment.
    async fn revoke_later(
        &self,
        instance: &InstanceId,
        key: &str,
        at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// The keys whose moment has come.
    async fn due_revocations(&self, now: Timestamp) -> Result<Vec<(InstanceId, String)>, Error>;

    /// Notes that a key is revoked.
    async fn revocation_done(&self, instance: &InstanceId, key: &str) -> Result<(), Error>;
}

/// Users and their tokens.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Makes the organization and its first owner, unless there is a user already. Returns the owner.
    async fn first_owner(&self, owner: &User, audit: &AuditEntry) -> Result<User, Error>;

    /// The organization that was made first: it runs the machine.
    async fn first_organization(&self) -> Result<Option<OrganizationId>, Error>;

    /// Keeps a new user, and its organization where that is new. [`Error::UserExists`] if the console has one of the name.
    async fn create_user(
        &self,
        user: &User,
        password: Option<&Password>,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// The users of an organization, by name.
    async fn users(&self, organization: &OrganizationId) -> Result<Vec<User>, Error>;

    /// The user of this name with the hash of its password.
    async fn user_named(&self, name: &str) -> Result<Option<(User, Option<Password>)>, Error>;

    /// Changes a user's role or password. A new password ends the user's sign-ins, except the one that changes it. [`Error::LastOwner`] if no owner would
    /// be left.
    async fn change_user(
        &self,
        organization: &OrganizationId,
        id: &UserId,
        role: Option<Role>,
        password: Option<&Password>,
        audit: &AuditEntry,
    ) -> Result<User, Error>;

    /// Removes a user with its tokens and sign-ins. [`Error::LastOwner`] if no owner would be left.
    async fn delete_user(
        &self,
        organization: &OrganizationId,
        id: &UserId,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// Keeps a new token or sign-in of a user.
    async fn create_token(&self, token: &Token, hash: &TokenHash, audit: &AuditEntry) -> Result<(), Error>;

    /// The token of this hash, with its user, also when it has expired.
    async fn token(&self, hash: &TokenHash) -> Result<Option<(Token, User)>, Error>;

    /// The API tokens of an organization's users, by when they were made. Sign-ins are not in the list.
    async fn tokens(&self, organization: &OrganizationId) -> Result<Vec<Token>, Error>;

    /// Revokes a token. Revoking it again does nothing.
    async fn revoke_token(
        &self,
        organization: &OrganizationId,
        id: &TokenId,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// Notes when a token was last used.
    async fn note_token_use(&self, id: &TokenId, at: Timestamp) -> Result<(), Error>;

    /// Keeps a link that signs a user in once, until a moment. It replaces the user's link before it.
    async fn create_sign_in(&self, link: &SignIn, hash: &TokenHash) -> Result<(), Error>;

    /// Uses up the link of this hash, and returns its user. `None` if there is none, or its moment is over.
    async fn use_sign_in(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<User>, Error>;
}

/// What was changed, by whom.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Keeps an entry about something that changed nothing in the store, such as a refused sign-in.
    async fn record(&self, entry: &AuditEntry) -> Result<(), Error>;

    /// The entries of an organization, newest first.
    async fn audit(&self, organization: &OrganizationId, page: &PageQuery)
    -> Result<Page<AuditEntry>, Error>;
}

/// All of it.
pub trait ControlStore:
    InstanceStore + OperationStore + EvidenceStore + SecretStore + UserStore + AuditStore
{
}

impl<T: InstanceStore + OperationStore + EvidenceStore + SecretStore + UserStore + AuditStore> ControlStore
    for T
{
}
