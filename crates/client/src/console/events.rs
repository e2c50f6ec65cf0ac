use std::marker::PhantomData;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use memcloud_api::console::{LogPart, OperationEvent};
use memcloud_sse::Events;
use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::http::{Http, STREAM_TIMEOUT};

/// How often a broken stream is taken up again before the failure is reported, and the pause before each attempt: a console
/// that is started again is back within half a minute.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// The events of an operation.
pub type OperationEvents = EventStream<OperationEvent>;
/// The parts of a log, each with the lines that were written since the one before.
pub type LogParts = EventStream<LogPart>;

/// What happens at the console, one event after the other. When the connection breaks, the stream goes on behind the last one.
pub struct EventStream<E> {
    http: Http,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    last: u64,
    has_ended: bool,
    open: Option<Open>,
    events: PhantomData<E>,
}

/// An event of a stream.
pub trait StreamEvent: DeserializeOwned {
    /// By which the stream goes on behind it.
    fn id(&self) -> u64;

    /// Whether none comes after it.
    fn is_last(&self) -> bool;
}

impl StreamEvent for OperationEvent {
    fn id(&self) -> u64 {
        self.number
    }

    fn is_last(&self) -> bool {
        self.kind == "operation" && matches!(self.state.as_str(), "succeeded" | "failed" | "cancelled")
    }
}

impl StreamEvent for LogPart {
    fn id(&self) -> u64 {
        self.next
    }

    fn is_last(&self) -> bool {
        false
    }
}

/// An open stream.
struct Open {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    events: Events,
}

impl<E: StreamEvent> EventStream<E> {
    pub(super) fn new(http: Http, path: &[&str], query: Vec<(&'static str, String)>, last: u64) -> Self {
        let path = path.iter().map(|&part| part.to_owned()).collect();
        Self { http, path, query, last, has_ended: false, open: None, events: PhantomData }
    }

    /// The next event; `None` behind the last one.
    pub async fn next(&mut self) -> Result<Option<E>, Error> {
        let mut attempts = 0;
        loop {
            if self.open.is_none() {
                match self.connect().await {
                    Ok(open) => self.open = Some(open),
                    Err(error) if attempts < ATTEMPTS && error.is_unreachable() => {
                        attempts += 1;
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            match self.read().await? {
                Some(event) => return Ok(Some(event)),
                None if self.has_ended => return Ok(None),
                None if attempts >= ATTEMPTS => {
                    return Err(Error::BrokenOff("the console closed the connection".into()));
                }
                None => {
                    (self.open, attempts) = (None, attempts + 1);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn connect(&self) -> Result<Open, Error> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let request = self.http.request(Method::GET, &path).query(&self.query);
        let request = request.header("last-event-id", self.last).timeout(STREAM_TIMEOUT);
        let bytes = self.http.answer(request).await?.bytes_stream();
        Ok(Open { bytes: bytes.map(|piece| piece.map(Vec::from)).boxed(), events: Events::default() })
    }

    /// The next event of the open stream; `None` when the stream is over.
    async fn read(&mut self) -> Result<Option<E>, Error> {
        let Some(open) = &mut self.open else { return Ok(None) };
        loop {
            while let Some(event) =
                open.events.next_event().map_err(|error| Error::BrokenOff(error.to_string()))?
            {
                let Some(data) = event.data else { continue };
                let event: E =
                    serde_json::from_str(&data).map_err(|error| Error::BrokenOff(error.to_string()))?;
                (self.last, self.has_ended) = (event.id(), event.is_last());
                return Ok(Some(event));
            }
            match open.bytes.next().await {
                Some(Ok(piece)) => open.events.push(&piece),
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}
