//! `GET /api/instances/{id}/logs`

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream::unfold;
use memcloud_api::console::{LogPart as ApiLogPart, LogStreamEvent};
use memcloud_api::{Place, Problem, Problems};
use memcloud_control::targets::{LogPart, LogPosition};
use memcloud_control::{Caller, Error, InstanceId};
use memcloud_http::params::QueryParams;
use memcloud_http::{Allowed, ApiError, Read, event_stream, last_event_id};

use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotNow;
use crate::error::refused;
use crate::guard::Shown;
use crate::watch::Watch;

/// Where a log is read from that is not asked for from a position: about its last lines, in bytes.
const USUAL_BYTES: u64 = 64 << 10;
/// How often a log is read that is followed.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads the log of an instance from a byte on, or its last lines.
///
/// With `follow=true` it answers with server-sent events named `log`, each with the lines that were written since the one before. The
/// id of an event is where the next part begins; a client that comes back with it as `Last-Event-ID` misses nothing.
#[utoipa::path(
    get,
    path = "/api/instances/{id}/logs",
    operation_id = "read_log",
    tag = "instances",
    params(
        ("id" = String, Path, description = "The id of the instance."),
        ("from" = Option<u64>, Query, description = "The byte to begin at. Default: about 64 KiB before the end."),
        ("follow" = Option<bool>, Query, description = "Whether the answer goes on with what is written later. Default: false."),
        ("Last-Event-ID" = Option<u64>, Header, description = "The id of the last event that a client has, in place of `from`."),
    ),
    responses(
        (
            status = 200,
            description = "A part of at most a megabyte, or the events.",
            content((ApiLogPart = "application/json"), (LogStreamEvent = "text/event-stream")),
        ),
        NotNow,
    ),
)]
pub(crate) async fn logs(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(shown): Extension<Shown>,
    Named(id): Named<InstanceId>,
    mut query: QueryParams,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (from, follows) = Problems::none_in(|problems| {
        let from = query.text("from", problems).map(|given| problems.take(byte(&given)));
        let follows = query.truth("follow", problems);
        Some((from.map_or(Some(None), |from| from.map(Some))?, follows))
    })?;
    let position = match (last_event_id(&headers), from) {
        (byte @ 1.., _) if follows => LogPosition::Byte(byte),
        (_, Some(byte)) => LogPosition::Byte(byte),
        (_, None) => LogPosition::Last(USUAL_BYTES),
    };
    let first = app.control.log(&caller, &id, position).await.map_err(refused)?;
    if !follows {
        return Ok(Json(shown_part(first)).into_response());
    }
    let next = first.next;
    let following = Following { app: app.clone(), caller, id, next, first: Some(first) };
    let watch = Watch::new(app, shown);
    Ok(event_stream(unfold((following, watch), async |(mut following, mut watch)| {
        let part = watch.wait(following.part()).await?.ok()?;
        let event = memcloud_sse::numbered(part.next, "log", &shown_part(part));
        Some((event, (following, watch)))
    })))
}

fn byte(given: &str) -> Result<u64, Problem> {
    let place = || Place::query().at("from");
    let msg = "Input should be a valid integer";
    given.parse().map_err(|_| Problem::new(place(), "int_parsing", msg, "wrong_type"))
}

fn shown_part(part: LogPart) -> ApiLogPart {
    ApiLogPart { text: part.text, next: part.next }
}

/// A log that is followed.
struct Following {
    app: App,
    caller: Caller,
    id: InstanceId,
    /// Where the next part begins.
    next: u64,
    /// The first part, which was read before.
    first: Option<LogPart>,
}

impl Following {
    /// The next part with a line in it.
    async fn part(&mut self) -> Result<LogPart, Error> {
        loop {
            let part = if let Some(first) = self.first.take() {
                first
            } else {
                let position = LogPosition::Byte(self.next);
                self.app.control.log(&self.caller, &self.id, position).await?
            };
            self.next = part.next;
            if !part.text.is_empty() {
                return Ok(part);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
