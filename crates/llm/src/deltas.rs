//! Streamed answers, event by event.

use bytes::Bytes;
use futures_util::stream;
use memcloud_ports::{Delta, Deltas, ModelError};

use crate::completion::{self, Content};
use crate::response::Reading;
use memcloud_sse::{Event, Events};

/// The data of the last event.
const DONE: &str = "[DONE]";

struct Streaming {
    reading: Reading,
    events: Events,
    /// Whether the model has finished. Usage may still follow.
    finished: bool,
    /// Whether nothing follows.
    ended: bool,
}

/// The events of an answer, each as soon as it is complete.
pub(crate) fn of(reading: Reading) -> Deltas {
    let streaming = Streaming { reading, events: Events::default(), finished: false, ended: false };
    Box::pin(stream::unfold(streaming, |mut streaming| async move {
        if streaming.ended {
            return None;
        }
        let next = streaming.next().await;
        streaming.ended |= !matches!(next, Ok(Some(_)));
        Some((next.transpose()?, streaming))
    }))
}

impl Streaming {
    async fn next(&mut self) -> Result<Option<Delta>, ModelError> {
        loop {
            if let Some(event) =
                self.events.next_event().map_err(|long| ModelError::TooLong { limit: long.limit })?
            {
                return self.delta(event).map(Some);
            }
            match self.reading.next().await {
                Ok(Some(bytes)) => self.events.push(&bytes),
                Ok(None) => return self.last(),
                // After the model has finished, nothing is missed.
                Err(ModelError::Cut(_) | ModelError::Silent(_)) if self.finished => return self.last(),
                Err(error) => return Err(error),
            }
        }
    }

    /// What is left when the connection has closed.
    fn last(&mut self) -> Result<Option<Delta>, ModelError> {
        self.ended = true;
        let Some(mut event) = self.events.finish() else {
            return if self.finished { Ok(None) } else { Err(cut()) };
        };
        // Ends the event, so that whatever the caller sends after it is an event of its own.
        event.raw = [&event.raw[..], b"\n\n"].concat().into();
        match self.delta(event) {
            Err(refused @ ModelError::Refused(_)) => Err(refused),
            Ok(delta) if self.finished => Ok(Some(delta)),
            _ if self.finished => Ok(None),
            _ => Err(cut()),
        }
    }

    fn delta(&mut self, event: Event) -> Result<Delta, ModelError> {
        let data = event.data.as_deref().unwrap_or_default().trim();
        if data == DONE {
            (self.finished, self.ended) = (true, true);
        }
        if data.is_empty() || data == DONE {
            return Ok(Delta { raw: event.raw, is_end: data == DONE, ..Delta::default() });
        }
        let json = Bytes::copy_from_slice(data.as_bytes());
        let kind = Some("application/json".to_owned());
        if event.name.as_deref() == Some("error") {
            return Err(completion::failed(&self.reading.refusals, kind, json));
        }
        let content = Content::event(&completion::object(&self.reading.refusals, kind, &json)?);
        self.finished |= content.finished;
        Ok(Delta {
            raw: event.raw,
            text: content.text,
            calls_tools: content.calls_tools,
            tokens: content.tokens,
            is_end: false,
        })
    }
}

fn cut() -> ModelError {
    ModelError::Cut("the connection closed before the model had finished".into())
}
