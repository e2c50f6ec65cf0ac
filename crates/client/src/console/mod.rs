//! The client of a console.

mod access;
mod audit;
mod events;
mod instances;
mod keys;
mod operations;
mod tokens;
mod users;

use secrecy::SecretString;

use crate::http::Http;
use crate::{Error, ServerKind};

pub use events::{EventStream, LogParts, OperationEvents, StreamEvent};
pub use instances::InstancesQuery;
pub use operations::OperationsQuery;

/// A console to talk to: it manages instances. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Console(Http);

impl Console {
    /// The console at this address, called with this token.
    pub fn new(url: &str, token: Option<SecretString>) -> Result<Self, Error> {
        Http::new(ServerKind::Console, url, token).map(Self)
    }

    /// The same client, which tries up to `attempts` times to read when the console cannot be reached.
    #[must_use]
    pub fn retrying(self, attempts: usize) -> Self {
        Self(self.0.retrying(attempts))
    }

    /// The address of the console, without a user, a password and a query in it, and without a slash at its end.
    pub fn url(&self) -> &str {
        self.0.url()
    }
}
