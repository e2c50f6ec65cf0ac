use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use memcloud_api::console::OperationEvent;
use memcloud_sse::Events;
use reqwest::Method;

use crate::Error;
use crate::http::{Http, STREAM_TIMEOUT};

/// How often a broken stream is taken up again before the failure is reported, and the pause before each attempt: a console
/// that is started again is back within half a minute.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// The events of an operation. When the connection breaks, the stream goes on behind the last event.
pub struct OperationEvents {
    http: Http,
    id: String,
    last: u64,
    has_ended: bool,
    open: Option<Open>,
}

/// An open stream.
struct Open {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    events: Events,
}

impl OperationEvents {
    pub(super) fn new(http: Http, id: &str, after: u64) -> Self {
        Self { http, id: id.to_owned(), last: after, has_ended: false, open: None }
    }

    /// The next event; `None` when the operation has ended.
    pub async fn next(&mut self) -> Result<Option<OperationEvent>, Error> {
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
        let request = self.http.request(Method::GET, &["api", "operations", &self.id, "events"]);
        let request = request.header("last-event-id", self.last).timeout(STREAM_TIMEOUT);
        let bytes = self.http.answer(request).await?.bytes_stream();
        Ok(Open { bytes: bytes.map(|piece| piece.map(Vec::from)).boxed(), events: Events::default() })
    }

    /// The next event of the open stream; `None` when the stream is over.
    async fn read(&mut self) -> Result<Option<OperationEvent>, Error> {
        let Some(open) = &mut self.open else { return Ok(None) };
        loop {
            while let Some(event) =
                open.events.next_event().map_err(|error| Error::BrokenOff(error.to_string()))?
            {
                let Some(data) = event.data else { continue };
                let event: OperationEvent =
                    serde_json::from_str(&data).map_err(|error| Error::BrokenOff(error.to_string()))?;
                self.last = event.number;
                self.has_ended = event.kind == "operation" && has_ended(&event.state);
                return Ok(Some(event));
            }
            match open.bytes.next().await {
                Some(Ok(piece)) => open.events.push(&piece),
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

/// Whether an operation in this state has ended.
fn has_ended(state: &str) -> bool {
    matches!(state, "succeeded" | "failed" | "cancelled")
}
