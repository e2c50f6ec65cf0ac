use crate::OperationId;
use crate::instances::{InvalidName, Reason, TargetKind};
use crate::seal::SealError;

/// Why the control plane did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing in the caller's organization.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Another instance of the organization has the name.
    #[error("the name '{0}' is taken")]
    NameTaken(String),
    /// Another user of the console has the name.
    #[error("a user has the name '{0}' already")]
    UserExists(String),
    /// Not a name of an instance.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// Another operation of the instance has not ended.
    #[error("the operation {0} of this instance has not ended")]
    Busy(OperationId),
    /// The instance or the operation is in a state in which this cannot be done.
    #[error("{message}")]
    WrongState {
        /// What it is, and what it would have to be.
        message: String,
        /// What to do instead.
        hint: String,
    },
    /// The request says something that cannot be done.
    #[error("{message}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// This console cannot run instances there.
    #[error("this console has no target '{0}'")]
    NoTarget(TargetKind),
    /// The target will not do it, for each of these reasons.
    #[error("{}", messages(.0))]
    Refused(Vec<Reason>),
    /// The last owner of an organization cannot be removed or lose that role.
    #[error("an organization needs an owner, and this is the last one")]
    LastOwner,
    /// Only the organization that runs the machine may do this.
    #[error("only owners of the console's first organization may do this")]
    NotFirstOrganization,
    /// A secret cannot be read.
    #[error("a sealed secret cannot be opened")]
    Sealed(#[from] SealError),
    /// The instance did not answer as it should.
    #[error("the instance refused: {0}")]
    Instance(#[from] memcloud_client::Error),
    /// What the control plane keeps cannot be read or written.
    #[error("the database of the control plane failed while {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk is full.
    #[error("the disk that holds the control plane is full")]
    DiskFull,
}

fn messages(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.message.as_str()).collect::<Vec<_>>().join("; ")
}
