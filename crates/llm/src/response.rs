//! Reads an answer whose head has arrived.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memcloud_ports::ModelError;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use tokio::time::timeout;

use crate::refusal::Refusals;

/// The longest answer that is read.
pub(crate) const ANSWER_BYTES: usize = 32 << 20;

/// How much of the body of a refusal is read, and for how long: its status says the most.
const REFUSAL_BYTES: usize = 1 << 20;
const REFUSAL_WITHIN: Duration = Duration::from_secs(5);

/// An answer that is being read.
pub(crate) struct Reading {
    response: Response,
    silence: Duration,
    pub(crate) refusals: Refusals,
}

impl Reading {
    pub(crate) fn new(response: Response, silence: Duration, refusals: Refusals) -> Self {
        Self { response, silence, refusals }
    }

    pub(crate) fn content_type(&self) -> Option<String> {
        let value = self.response.headers().get(CONTENT_TYPE)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// Whether it is a stream of events.
    pub(crate) fn is_stream(&self) -> bool {
        self.content_type().is_some_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("text/event-stream")
        })
    }

    /// The next bytes; `None` at the end that the head announced.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ModelError> {
        match timeout(self.silence, self.response.chunk()).await {
            Err(_) => Err(ModelError::Silent(self.silence)),
            Ok(Err(error)) => Err(ModelError::Cut(error.without_url().into())),
            Ok(Ok(bytes)) => Ok(bytes),
        }
    }

    /// The whole body.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, ModelError> {
        let announced = self.response.content_length().unwrap_or_default();
        if announced > ANSWER_BYTES as u64 {
            return Err(ModelError::TooLong { limit: ANSWER_BYTES });
        }
        let mut whole = BytesMut::with_capacity(announced as usize);
        while let Some(bytes) = self.next().await? {
            if whole.len() + bytes.len() > ANSWER_BYTES {
                return Err(ModelError::TooLong { limit: ANSWER_BYTES });
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// The body of a refusal, or as much of it as arrives in time.
    pub(crate) async fn refusal(&mut self) -> Bytes {
        let mut body = BytesMut::new();
        let read = async {
            while let Ok(Some(bytes)) = self.next().await {
                let room = REFUSAL_BYTES - body.len();
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if body.len() == REFUSAL_BYTES {
                    break;
                }
            }
        };
        drop(timeout(REFUSAL_WITHIN, read).await);
        body.freeze()
    }
}
