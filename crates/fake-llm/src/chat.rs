//! `POST …/chat/completions`

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

use crate::body::{answer, torn};
use crate::calls::Call;
use crate::fault::Fault;
use crate::refusal::ErrorAnswer;
use crate::reply::Reply;
use crate::request::Request;
use crate::state::{Dialect, State, header, shows_a_key};
use crate::{stream, whole};

/// Answers a call. `deployment` is the model in the address of an Azure call.
pub(crate) async fn completions(
    Shared(state): Shared<Arc<State>>,
    uri: Uri,
    deployment: Option<Path<String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut call = Call::begun(&uri.to_string(), &headers, &body);
    let deployment = deployment.map(|Path(name)| name);
    let read = state
        .authorize(&headers, Dialect::of(uri.path()))
        .and_then(|()| Request::read(&call.body, deployment.as_deref()));
    let request = match read {
        Ok(request) => request,
        Err(refusal) => return refused(&state, call, refusal),
    };
    call.kind = Some(request.wants.kind());
    call.faults = suffered(&state, &request, &body);
    let faults = call.faults.clone();
    if faults.contains(&Fault::Hang) {
        state.log().note(call);
        return std::future::pending().await;
    }
    let wait = state.delay() + faults.iter().map(Fault::wait).sum();
    if let Some(refusal) = faults.iter().find_map(|fault| refusal(fault, &request)) {
        // Logged before the delay, so that a waiting call is visible.
        let response = refused(&state, call, refusal);
        tokio::time::sleep(wait).await;
        return response;
    }
    let (reply, number) = replied(&state, call, &request);
    tokio::time::sleep(wait).await;
    formed(&reply, &request, &faults, move |place| {
        // A stream begins with an event without words.
        if place == usize::from(request.stream) {
            state.log().note_answer(number);
        }
    })
}

impl Call {
    /// A call as received, before it is parsed.
    pub(crate) fn begun(path: &str, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = || Value::from(String::from_utf8_lossy(body));
        Self {
            path: path.to_owned(),
            body: serde_json::from_slice(body).unwrap_or_else(|_| text()),
            idempotency_key: header(headers, "idempotency-key").map(str::to_owned),
            authorization: shows_a_key(headers),
            received: Some(Instant::now()),
            ..Self::default()
        }
    }
}

/// Logs that a call was refused.
pub(crate) fn refused(state: &State, call: Call, refusal: ErrorAnswer) -> Response {
    state.log().note(Call { status: Some(refusal.status.as_u16()), ..call });
    refusal.into_response()
}

/// The reply, which is charged and kept under its key from now on, even if the caller does not wait for it; and the number
/// of the call.
fn replied(state: &State, call: Call, request: &Request) -> (Reply, u64) {
    let mut log = state.log();
    let make = |number| Reply::new(number, request, &call.faults);
    let (reply, fresh) = log.answer(call.idempotency_key.as_deref(), make);
    let number = log.note(Call { status: Some(200), charged: fresh, repeated: !fresh, ..call });
    (reply, number)
}

fn suffered(state: &State, request: &Request, body: &[u8]) -> Vec<Fault> {
    let body = String::from_utf8_lossy(body);
    let texts = request.messages.iter().map(|message| message.text.as_str()).chain([body.as_ref()]);
    state.faults().as_mut().map(|faults| faults.suffered(request.wants.kind(), texts)).unwrap_or_default()
}

/// The error that a fault returns for a call.
fn refusal(fault: &Fault, request: &Request) -> Option<ErrorAnswer> {
    match fault {
        Fault::Status { status, retry_after } => Some(ErrorAnswer::status(*status, *retry_after)),
        Fault::Overflow { tokens } if request.tokens() > *tokens => {
            Some(ErrorAnswer::overflow(*tokens, request.tokens()))
        }
        Fault::RefusesFormat if request.has_format => Some(ErrorAnswer::unknown("response_format")),
        Fault::RefusesUsage if request.usage.is_some() => Some(ErrorAnswer::unknown("stream_options")),
        _ => None,
    }
}

fn formed(
    reply: &Reply,
    request: &Request,
    faults: &[Fault],
    sending: impl Fn(usize) + Send + 'static,
) -> Response {
    let streams = request.stream && !faults.contains(&Fault::IgnoresStream);
    let (content_type, parts) = if streams {
        ("text/event-stream", stream::parts(reply, faults, request.usage.unwrap_or(false)))
    } else {
        ("application/json", whole::parts(reply, faults))
    };
    let parts = if faults.contains(&Fault::Torn) { torn(parts) } else { parts };
    let pause = if streams { faults.iter().map(Fault::word_wait).sum() } else { std::time::Duration::ZERO };
    answer(content_type, parts, pause, sending)
}
