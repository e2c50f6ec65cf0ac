//! Errors of a request to an endpoint.

use std::time::Duration;

use memcloud_ports::{ModelError, Refusal};
use thiserror::Error;

/// Why a request to an endpoint failed.
#[derive(Debug, Error)]
pub(crate) enum EndpointError {
    #[error("the endpoint cannot be reached")]
    Unreachable(#[source] Source),
    #[error("the endpoint did not answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("the endpoint answered {}: {}", .0.status, .0.message())]
    Refused(Refusal),
    #[error("the answer broke off")]
    Cut(#[source] Source),
    #[error("the endpoint answered {0}")]
    Unusable(String),
    #[error("the endpoint answered more than {0} bytes")]
    TooLong(usize),
}

pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

impl EndpointError {
    /// An error of the HTTP client as a source, without the address: its query may hold a secret.
    pub(crate) fn source(error: reqwest::Error) -> Source {
        Box::new(error.without_url())
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Silent(_) | Self::Cut(_) => true,
            Self::Refused(refusal) => refusal.kind.is_transient(),
            Self::Unusable(_) | Self::TooLong(_) => false,
        }
    }
}

impl From<EndpointError> for ModelError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Unreachable(source) => Self::Unreachable(source),
            EndpointError::Silent(within) => Self::Silent(within),
            EndpointError::Refused(refusal) => Self::Refused(refusal),
            EndpointError::Cut(source) => Self::Cut(source),
            EndpointError::Unusable(what) => Self::Unusable { what },
            EndpointError::TooLong(limit) => Self::TooLong { limit },
        }
    }
}
