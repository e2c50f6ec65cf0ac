//! What can go wrong on the way to an endpoint and back.

use std::time::Duration;

use memcloud_ports::{ModelError, Refusal};
use thiserror::Error;

/// Why an endpoint did not give what was asked for, whatever it was.
#[derive(Debug, Error)]
pub(crate) enum EndpointError {
    #[error("the endpoint cannot be reached")]
    Unreachable(#[source] Source),
    #[error("the endpoint did not answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("the endpoint answered {}: {}", .0.status, .0.told())]
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
    /// An error of the HTTP client as a source of ours. Its address is taken out: a query may hold a secret.
    pub(crate) fn source(error: reqwest::Error) -> Source {
        Box::new(error.without_url())
    }

    /// Whether it may be gone when the same is asked again.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Silent(_) | Self::Cut(_) => true,
            Self::Refused(refusal) => matches!(refusal.status, 408 | 425 | 429 | 500..),
            Self::Unusable(_) | Self::TooLong(_) => false,
        }
    }
}

impl From<EndpointError> for ModelError {
    fn from(trouble: EndpointError) -> Self {
        match trouble {
            EndpointError::Unreachable(source) => Self::Unreachable(source),
            EndpointError::Silent(within) => Self::Silent(within),
            EndpointError::Refused(refusal) => Self::Refused(refusal),
            EndpointError::Cut(source) => Self::Cut(source),
            EndpointError::Unusable(what) => Self::Unusable { what },
            EndpointError::TooLong(limit) => Self::TooLong { limit },
        }
    }
}
