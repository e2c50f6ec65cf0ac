//! Typed clients for the APIs of a memory instance ([`Client`]) and of a console ([`Console`]): one method for each
//! operation, over the types of `memcloud-api`.
//!
//! A store always carries an `Idempotency-Key`, so it can be sent again when its answer is lost: it is stored once.
//! [`Client::retrying`] turns that on, for stores and reads. Errors keep what the server said: status, code, detail, hint
//! and request id. The caller installs the process's default provider of `rustls`.

mod chat;
mod console;
mod error;
mod facts;
mod http;
mod keys;
mod memories;
mod operations;
mod sessions;
mod spaces;

use secrecy::SecretString;

pub use chat::{ChatEvent, ChatStream};
pub use console::{
    Console, EventStream, InstancesQuery, LogParts, OperationEvents, OperationsQuery, StreamEvent,
};
pub use error::{Error, Refusal, ServerKind};
pub use facts::FactQuery;
use http::Http;
pub use memories::ListQuery;
pub use sessions::{SessionsOf, SessionsQuery};
pub use spaces::SpacesQuery;

/// One instance to talk to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(Http);

impl Client {
    /// The instance at this address, called with this key.
    pub fn new(url: &str, key: Option<SecretString>) -> Result<Self, Error> {
        Http::new(ServerKind::Instance, url, key).map(Self)
    }

    /// The same client, which tries up to `attempts` times when the server cannot be reached.
    #[must_use]
    pub fn retrying(self, attempts: usize) -> Self {
        Self(self.0.retrying(attempts))
    }

    /// The address of the instance, without a user, a password and a query in it, and without a slash at its end.
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// Whether it sends a key.
    pub fn has_key(&self) -> bool {
        self.0.has_key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_password_are_not_shown() {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::new("http://ann:pa@ss@localhost:1/base/", None).unwrap();
        assert_eq!(client.url(), "http://localhost:1/base");
        let error = Client::new("ftp://ann:secret@there/x@y", None).unwrap_err();
        assert_eq!(error.to_string(), "'ftp://there/x@y' is not the address of an instance");
    }

    #[test]
    fn addresses_without_scheme_or_host_are_refused() {
        for url in ["localhost:8080", "ftp://x", "http://", "x"] {
            assert!(matches!(Client::new(url, None), Err(Error::InvalidUrl { .. })), "{url}");
        }
    }
}
