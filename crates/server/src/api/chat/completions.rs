//! `POST /v1/chat/completions`, in OpenAI's shape.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use memcloud_domain::{Caller, Clock, SystemClock, with_causes};
use memcloud_memory::{ChatEvent, ChatTurn, CompletedTurn, FailedTurn, Retry};
use memcloud_ports::{Completion, ModelError};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use utoipa::IntoParams;

use super::events::{self, Line};
use super::refusal::{OpenAi, handed_on};
use super::{USUAL_MEMORIES, check_count, conversation, message};
use crate::App;
use crate::allowed::{Allowed, ReadAndWrite};
use crate::api::v1::NamedSession;
use crate::body::JsonBody;
use crate::failure::Failure;
use crate::fields::Place;

const GROUP: &str = "x-memory-group";
const SESSION: &str = "x-memory-session";
const USER: &str = "x-memory-user";
const AGENT: &str = "x-memory-agent";
/// How many memories and facts the model was told, on every answer.
const RECALLED: HeaderName = HeaderName::from_static("x-memory-recalled");
/// The code of what kept the turn from being stored.
const TROUBLE: HeaderName = HeaderName::from_static("x-memory-error");

/// Which memory is added.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, clippy::struct_field_names, reason = "describes the headers that `session` reads")]
pub(crate) struct MemoryHeaders {
    /// Whose memory it is. Default: `default`.
    #[param(rename = "X-Memory-Group")]
    memory_group: Option<String>,
    /// The conversation. Default: `default`.
    #[param(rename = "X-Memory-Session")]
    memory_session: Option<String>,
    /// Who asks. Default: `default`.
    #[param(rename = "X-Memory-User")]
    memory_user: Option<String>,
    /// Who answers. Default: `assistant`.
    #[param(rename = "X-Memory-Agent")]
    memory_agent: Option<String>,
}

/// OpenAI's chat completions, with memory: what is recalled for the user's last message is added to what the model is
/// told, and both sides are stored.
///
/// Everything else goes to the model's endpoint and comes back as it is: tools, unknown fields, and its errors with their
/// status and body. A stream's `[DONE]` comes when both sides are stored.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    operation_id = "chat_completions",
    tag = "chat",
    params(MemoryHeaders),
    request_body = Object,
    responses(
        (status = 200, description = "What the model answered, or the events of it.", body = Object),
        (status = 400, description = "The request does not validate.", body = Object),
        (status = 429, description = "A limit of the instance or of the endpoint is reached.", body = Object),
        (status = 503, description = "There is no model, or it cannot answer at present.", body = Object),
    ),
)]
pub(crate) async fn completions(
    allowed: Allowed<ReadAndWrite>,
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<JsonBody, Failure>,
) -> Result<Response, OpenAi> {
    let request = body?.0.into_map();
    let chat = app.chat()?;
    let turn = turn(&app, &allowed, &headers, request)?;
    let streams = turn.request.is_streamed();
    let mut events = chat.begin(turn);
    let told = match events.recv().await {
        Some(ChatEvent::Recalled(context, took)) => {
            app.measures.recalled(took);
            context.memories.len() + context.facts.len()
        }
        Some(ChatEvent::Failed(failed)) => return Ok(refused(*failed)),
        _ => return Err(Failure::defect().into()),
    };
    let mut response = if streams { streamed(events).await } else { whole(events).await };
    response.headers_mut().insert(RECALLED, HeaderValue::from(told));
    Ok(response)
}

fn refused(failed: FailedTurn) -> Response {
    match failed.error {
        ModelError::Refused(refusal) => handed_on(refusal),
        _ => OpenAi(failed.into()).into_response(),
    }
}

/// Answers what the model answered, when both sides are stored.
async fn whole(mut events: UnboundedReceiver<ChatEvent>) -> Response {
    let (mut answered, mut calls_tools) = (None, false);
    loop {
        match events.recv().await {
            Some(ChatEvent::Recalled(..)) => {}
            Some(ChatEvent::Delta(delta)) => calls_tools |= delta.calls_tools,
            Some(ChatEvent::Whole(completion)) => answered = Some(completion.raw),
            Some(ChatEvent::Done(_)) if answered.is_none() && calls_tools => {
                let what = "with a stream that nobody asked for, and calls of tools in it".into();
                return OpenAi::from(ModelError::Unusable { what }).into_response();
            }
            Some(ChatEvent::Done(done)) => return json_body(answered.unwrap_or_else(|| assembled(&done))),
            Some(ChatEvent::Failed(failed)) => return failed_whole(answered, *failed),
            None => return OpenAi(Failure::defect()).into_response(),
        }
    }
}

/// What the model answered is handed on even where it could not be stored: it has been paid for. A header says so.
fn failed_whole(answered: Option<Bytes>, failed: FailedTurn) -> Response {
    let Some(answered) = answered else { return refused(failed) };
    let mut response = json_body(answered);
    if let ModelError::Memory(error) = &failed.error {
        tracing::error!(error = with_causes(error), "a turn was answered but could not be stored");
        response.headers_mut().insert(TROUBLE, HeaderValue::from_static(error.code()));
    }
    response
}

fn json_body(bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// The whole of an answer that came as a stream nobody had asked for.
fn assembled(done: &CompletedTurn) -> Bytes {
    let message = json!({"role": "assistant", "content": done.content});
    let body = json!({
        "id": format!("chatcmpl-{}", done.assistant_message.map_or_else(String::new, |id| id.to_string())),
        "object": "chat.completion",
        "created": SystemClock.now().as_micros() / 1_000_000,
        "model": "",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": done.tokens.prompt, "completion_tokens": done.tokens.completion},
    });
    Bytes::from(body.to_string())
}

/// Hands on what the model says as it says it. Until it says something its errors still have their status.
async fn streamed(mut events: UnboundedReceiver<ChatEvent>) -> Response {
    let first = match events.recv().await {
        Some(ChatEvent::Delta(delta)) if delta.is_end => Bytes::new(),
        Some(ChatEvent::Delta(delta)) => delta.raw,
        Some(ChatEvent::Whole(completion)) => as_event(&completion),
        Some(ChatEvent::Failed(failed)) => return refused(*failed),
        Some(ChatEvent::Recalled(..) | ChatEvent::Done(_)) | None => {
            return OpenAi(Failure::defect()).into_response();
        }
    };
    events::response(first, events, |event| match event {
        ChatEvent::Recalled(..) => Line::Nothing,
        // The end of a stream waits until both sides are stored.
        ChatEvent::Delta(delta) if delta.is_end => Line::Nothing,
        ChatEvent::Delta(delta) => Line::Bytes(delta.raw),
        ChatEvent::Whole(completion) => Line::Bytes(as_event(&completion)),
        ChatEvent::Done(_) => Line::Last(Bytes::from_static(DONE)),
        ChatEvent::Failed(failed) => Line::Last(last_words(*failed)),
    })
}

const DONE: &[u8] = b"data: [DONE]\n\n";

/// A stream that breaks off says why in the way that OpenAI's clients understand. One that is complete and only could not
/// be stored ends as it should.
fn last_words(failed: FailedTurn) -> Bytes {
    match &failed.error {
        ModelError::Memory(error) => {
            tracing::error!(error = with_causes(error), "a turn was answered but could not be stored");
            Bytes::from(format!(": not stored: {}\n\ndata: [DONE]\n\n", error.code()))
        }
        ModelError::Nothing => Bytes::from_static(DONE),
        _ => {
            let (message, code, _) = Failure::from(failed).told_in_words();
            events::data(
                &json!({"error": {"message": message, "type": "server_error", "param": null, "code": code}}),
            )
        }
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
    events::data(&body)
}

/// The turn that a request asks for. What it says beside the messages is none of the memory's business.
fn turn(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    request: Map<String, Value>,
) -> Result<ChatTurn, Failure> {
    let session = session(headers)?;
    let none = vec![];
    let messages = request.get("messages").and_then(Value::as_array).unwrap_or(&none);
    check_count(messages, &Place::body().at("messages"))?;
    let asked = messages.iter().rposition(|message| message["role"] == "user");
    let question = asked.and_then(|at| message::text(&messages[at]["content"])).unwrap_or_default();
    let limit = USUAL_MEMORIES.min(app.memory.limits().results);
    Ok(ChatTurn {
        session: conversation(caller, &session, None, None)?,
        question,
        is_new: asked.is_some_and(|at| at + 1 == messages.len()),
        request: request.into(),
        limit,
        retry: Retry::NEVER,
        asks_usage: false,
    })
}

fn session(headers: &HeaderMap) -> Result<NamedSession, Failure> {
    let name = |header| NamedSession::header(headers, header).map(Option::unwrap_or_default);
    let one = |header| name(header).map(|name| if name.is_empty() { vec![] } else { vec![name] });
    let or_default = |name: String| if name.is_empty() { "default".to_owned() } else { name };
    let (group, session) = (or_default(name(GROUP)?), or_default(name(SESSION)?));
    let users =
        Some(one(USER)?).filter(|users| !users.is_empty()).unwrap_or_else(|| vec!["default".to_owned()]);
    NamedSession::with_defaults(group, session, users, one(AGENT)?).checked()
}
