//! `GET /api/operations/{id}/events`

use std::collections::VecDeque;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream::unfold;
use memcloud_api::console::{OperationEvent, OperationStreamEvent};
use memcloud_control::operations::Event;
use memcloud_control::{Caller, OperationId};
use memcloud_http::{Allowed, ApiError, Read, event_stream, last_event_id};

use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotFound;
use crate::error::refused;
use crate::guard::Shown;
use crate::watch::Watch;

/// Answers with the events of an operation as server-sent events, named by their kind, up to its end.
///
/// The id of an event is its number. A client that comes back with it as `Last-Event-ID` misses nothing.
#[utoipa::path(
    get,
    path = "/api/operations/{id}/events",
    operation_id = "follow_operation",
    tag = "operations",
    params(
        ("id" = String, Path, description = "The id of the operation."),
        ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last event that a client has."),
    ),
    responses(
        (status = 200, description = "The events.", content_type = "text/event-stream", body = OperationStreamEvent),
        NotFound,
    ),
)]
pub(crate) async fn events(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Shown>,
    Named(id): Named<OperationId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let operation = app.control.operation(&caller, &id).await.map_err(refused)?;
    let following = Following {
        app: app.clone(),
        id: operation.id,
        after: last_event_id(&headers),
        read: VecDeque::new(),
    };
    let watch = Watch::new(app, token);
    Ok(event_stream(unfold((following, watch), async |(mut following, mut watch)| {
        let event = watch.wait(following.event()).await??;
        let event = shown(event);
        Some((memcloud_sse::numbered(event.number, &event.kind, &event), (following, watch)))
    })))
}

fn shown(event: Event) -> OperationEvent {
    OperationEvent {
        number: event.number,
        time: event.at.to_string(),
        kind: event.kind.to_string(),
        step: event.step,
        state: event.state,
        message: event.message,
    }
}

/// The events of an operation, one after the other.
struct Following {
    app: App,
    id: OperationId,
    /// The number of the last event that was read.
    after: u64,
    /// Those that were read and not sent yet.
    read: VecDeque<Event>,
}

impl Following {
    /// The next event; `None` when the operation has ended, or when its events cannot be read: then a client comes back.
    async fn event(&mut self) -> Option<Event> {
        if self.read.is_empty() {
            let events = self.app.control.next_events(&self.id, self.after).await;
            let events = events.unwrap_or_else(|error| {
                // The answer has begun; the log has the reason.
                drop(refused(error));
                None
            })?;
            self.after = events.last().map_or(self.after, |last| last.number);
            self.read.extend(events);
        }
        self.read.pop_front()
    }
}
