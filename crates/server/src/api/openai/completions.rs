//! `POST /v1/chat/completions`, in OpenAI's shape.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use memcloud_api::openai::CompletionRequest;
use memcloud_api::{Object, Problems};
use memcloud_domain::with_causes;
use memcloud_http::{Allowed, ApiError, ReadAndWrite, TypedBody};
use memcloud_memory::{ChatEvent, ChatSession, ChatTurn, Checked, CompletedTurn, FailedTurn, Limits, Retry};
use memcloud_ports::{Completion, ModelError};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Receiver;

use super::forwarded;
use crate::api::chat::error::{of_model, of_turn};
use crate::api::chat::events;
use crate::api::chat::{USUAL_MEMORIES, chat_session, check_count, message};
use crate::api::session::{HeaderNames, NamedSession, header};
use crate::{App, hint};

const NAMES: HeaderNames = HeaderNames {
    group: ["X-Memory-Group"; 2],
    session: ["X-Memory-Session"; 2],
    users: ["X-Memory-User"; 2],
    agents: ["X-Memory-Agent"; 2],
};
/// How many memories and facts the model was given, on every answer.
const RECALLED: HeaderName = HeaderName::from_static("x-memory-recalled");
/// The code of the error that kept the turn from being stored.
const NOT_STORED: HeaderName = HeaderName::from_static("x-memory-error");

/// OpenAI's chat completions, with memory: what is recalled for the user's last message is added to the messages, and both
/// sides are stored.
///
/// Everything else passes through unchanged: tools, unknown fields, and the endpoint's errors with their status and body.
/// A stream's `[DONE]` comes after both sides are stored.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    operation_id = "chat_completions",
    tag = "chat",
    params(
        ("X-Memory-Group" = Option<String>, Header, description = "The group whose memory it is. Default: `default`."),
        ("X-Memory-Session" = Option<String>, Header, description = "The conversation. Default: `default`."),
        ("X-Memory-User" = Option<String>, Header, description = "Who asks. Default: `default`."),
        ("X-Memory-Agent" = Option<String>, Header, description = "Who answers. Default: `assistant`."),
    ),
    request_body = CompletionRequest,
    responses(
        (
            status = 200,
            description = "The model's answer, or its events.",
            content((Object = "application/json"), (String = "text/event-stream")),
        ),
        (
            status = "default",
            description = "An error in OpenAI's shape: of this server (401 without a key that counts, 400 where the request does not validate), or of the endpoint, unchanged.",
            content((Object = "application/json"), (String = "*/*")),
        ),
    ),
)]
pub(crate) async fn completions(
    allowed: Allowed<ReadAndWrite>,
    State(app): State<App>,
    headers: HeaderMap,
    body: TypedBody<Object>,
) -> Result<Response, ApiError> {
    let turn = body.checked(|Object(request), problems| {
        let (limits, named) = (app.memory.limits(), session(&headers, problems));
        let session = chat_session(limits, &named, None, None, problems);
        turn(limits, session, request, problems)
    })?;
    allowed.enter(turn.session.space.clone())?;
    let streams = turn.request.is_streamed();
    let mut events = app.chat()?.begin(turn);
    let recalled = match events.recv().await {
        Some(ChatEvent::Recalled(context, took)) => {
            app.measures.recalled(took);
            context.memories.len() + context.facts.len()
        }
        Some(ChatEvent::Failed(failed)) => return Ok(refused(*failed)),
        _ => return Err(ApiError::defect()),
    };
    let mut response = if streams { streamed(events).await } else { whole(&app, events).await };
    response.headers_mut().insert(RECALLED, HeaderValue::from(recalled));
    Ok(response)
}

fn refused(failed: FailedTurn) -> Response {
    match failed.error {
        ModelError::Refused(refusal) => forwarded(refusal),
        _ => of_turn(failed).into_response(),
    }
}

/// Returns the model's answer after both sides are stored.
async fn whole(app: &App, mut events: Receiver<ChatEvent>) -> Response {
    let (mut answered, mut calls_tools) = (None, false);
    loop {
        match events.recv().await {
            Some(ChatEvent::Recalled(..)) => {}
            Some(ChatEvent::Delta(delta)) => calls_tools |= delta.calls_tools,
            Some(ChatEvent::Whole(completion)) => answered = Some(completion.raw),
            Some(ChatEvent::Done(_)) if answered.is_none() && calls_tools => {
                let what = "with a stream that was not requested, with tool calls in it".into();
                return of_model(ModelError::Unusable { what }).into_response();
            }
            Some(ChatEvent::Done(done)) => {
                return json_body(answered.unwrap_or_else(|| assembled(app, &done)));
            }
            Some(ChatEvent::Failed(failed)) => return failed_whole(answered, *failed),
            None => return ApiError::defect().into_response(),
        }
    }
}

/// Returns the model's answer even when it could not be stored, because it has been paid for. A header says so.
fn failed_whole(answered: Option<Bytes>, failed: FailedTurn) -> Response {
    let Some(answered) = answered else { return refused(failed) };
    let mut response = json_body(answered);
    if let ModelError::Memory(error) = &failed.error {
        tracing::error!(error = with_causes(error), "a turn was answered but could not be stored");
        response.headers_mut().insert(NOT_STORED, HeaderValue::from_static(error.code()));
    }
    response
}

fn json_body(bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// The whole of an answer that came as a stream although none was requested.
fn assembled(app: &App, done: &CompletedTurn) -> Bytes {
    let message = json!({"role": "assistant", "content": done.content});
    let body = json!({
        "id": format!("chatcmpl-{}", done.assistant_message.map_or_else(String::new, |id| id.to_string())),
        "object": "chat.completion",
        "created": app.memory.clock().now().as_micros() / 1_000_000,
        "model": "",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": done.tokens.prompt, "completion_tokens": done.tokens.completion},
    });
    Bytes::from(body.to_string())
}

/// Forwards what the model says as it arrives. An error before the first part still has its status.
async fn streamed(mut events: Receiver<ChatEvent>) -> Response {
    let first = match events.recv().await {
        Some(ChatEvent::Delta(delta)) if delta.is_end => Bytes::new(),
        Some(ChatEvent::Delta(delta)) => delta.raw,
        Some(ChatEvent::Whole(completion)) => as_event(&completion),
        Some(ChatEvent::Failed(failed)) => return refused(*failed),
        Some(ChatEvent::Recalled(..) | ChatEvent::Done(_)) | None => {
            return ApiError::defect().into_response();
        }
    };
    events::response(first, events, |event| match event {
        ChatEvent::Recalled(..) => Bytes::new(),
        // The end of a stream waits until both sides are stored.
        ChatEvent::Delta(delta) if delta.is_end => Bytes::new(),
        ChatEvent::Delta(delta) => delta.raw,
        ChatEvent::Whole(completion) => as_event(&completion),
        ChatEvent::Done(_) => Bytes::from_static(DONE),
        ChatEvent::Failed(failed) => end_of_failed(*failed),
    })
}

const DONE: &[u8] = b"data: [DONE]\n\n";

/// A stream that breaks off says why in the way that OpenAI's clients understand. A complete one that could not be stored
/// ends normally.
fn end_of_failed(failed: FailedTurn) -> Bytes {
    match &failed.error {
        ModelError::Memory(error) => {
            tracing::error!(error = with_causes(error), "a turn was answered but could not be stored");
            Bytes::from(format!(": not stored: {}\n\ndata: [DONE]\n\n", error.code()))
        }
        ModelError::Nothing => Bytes::from_static(DONE),
        _ => memcloud_sse::data(&of_turn(failed).into_openai(hint::of)),
    }
}

/// A whole answer as one event of a stream, for an endpoint that does not stream.
fn as_event(completion: &Completion) -> Bytes {
    let mut body: Value = serde_json::from_slice(&completion.raw).unwrap_or_default();
    if let Some(choices) = body["choices"].as_array_mut() {
        for choice in choices {
            if let Some(choice) = choice.as_object_mut()
                && let Some(message) = choice.remove("message")
            {
                choice.insert("delta".into(), message);
            }
        }
    }
    body["object"] = "chat.completion.chunk".into();
    memcloud_sse::data(&body)
}

/// The turn that a request asks for. The memory reads only its messages.
fn turn(
    limits: &Limits,
    session: Option<Checked<ChatSession>>,
    request: Map<String, Value>,
    problems: &mut Problems,
) -> Option<ChatTurn> {
    let none = vec![];
    let messages = request.get("messages").and_then(Value::as_array).unwrap_or(&none);
    problems.take(check_count(messages.len()))?;
    let asked = messages.iter().rposition(|message| message["role"] == "user");
    let question = asked.and_then(|at| message::text(&messages[at]["content"])).unwrap_or_default();
    Some(ChatTurn {
        session: session?,
        question,
        is_new: asked.is_some_and(|at| at + 1 == messages.len()),
        request: Arc::new(request.into()),
        limit: USUAL_MEMORIES.min(limits.results),
        retry: Retry::NEVER,
        asks_usage: false,
    })
}

fn session(headers: &HeaderMap, problems: &mut Problems) -> NamedSession {
    let mut name = |spellings| header(headers, spellings, problems).filter(|name| !name.is_empty());
    let [group, session, user] = [NAMES.group, NAMES.session, NAMES.users]
        .map(|spellings| name(spellings).unwrap_or_else(|| "default".to_owned()));
    let agents = name(NAMES.agents).into_iter().collect();
    NamedSession::of_names(group, session, vec![user], agents, &NAMES)
}
