//! `POST /v1/chat`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use memcloud_api::memmachine_v1::Session;
use memcloud_api::native::{ChatAnswer, ChatContext, ChatDelta, ChatRequest, ChatStreamEvent};
use memcloud_api::{Error, Integer, Place, Problem, Problems};
use memcloud_domain::{Field, Rule, Violation};
use memcloud_http::{Allowed, ApiError, ReadAndWrite, TypedBody};
use memcloud_memory::{ChatEvent, ChatSession, ChatTurn, Checked, Limits, Retry};
use serde_json::{Map, Value};
use tokio::sync::mpsc::Receiver;

use super::error::of_turn;
use super::events;
use super::{USUAL_MEMORIES, answer, chat_session, check_count, message};
use crate::api::session::{NamedSession, SessionHeaders};
use crate::{App, hint};

/// Answers with the help of what is remembered, and stores both sides.
///
/// The user's message and the model's answer are stored before this answers, even when the client has disconnected. When
/// the model fails, the user's message is stored nevertheless, and `stored` in the error says so.
#[utoipa::path(
    post,
    path = "/v1/chat",
    operation_id = "chat",
    tag = "chat",
    params(SessionHeaders),
    request_body = ChatRequest,
    responses(
        (
            status = 200,
            description = "The answer, or its events: the schema has the name and the data of each.",
            content((ChatAnswer = "application/json"), (ChatStreamEvent = "text/event-stream")),
        ),
        (status = 409, description = "The group is being deleted.", body = Error),
        (status = 429, description = "A limit of the instance is reached.", body = Error),
        (status = 502, description = "The model failed.", body = Error),
        (status = 503, description = "There is no model, or it cannot answer now.", body = Error),
        (status = 504, description = "The model did not answer in time.", body = Error),
    ),
)]
pub(crate) async fn chat(
    allowed: Allowed<ReadAndWrite>,
    State(app): State<App>,
    headers: HeaderMap,
    body: TypedBody<ChatRequest>,
) -> Result<Response, ApiError> {
    let limits = app.memory.limits();
    let (echo, streams, turn) = body.checked(|body, problems| {
        let (user, agent) = first_members(body.session.as_ref());
        let named = NamedSession::of_request(&headers, body.session.clone(), problems);
        let session = chat_session(limits, &named, user, agent, problems);
        let streams = body.stream.unwrap_or_default();
        Some((named.echo(), streams, turn(limits, session, body, problems)?))
    })?;
    allowed.enter(turn.session.space.clone())?;
    let mut events = app.chat()?.begin(turn);
    let context = match events.recv().await {
        Some(ChatEvent::Recalled(context, took)) => {
            app.measures.recalled(took);
            answer::context(&context)
        }
        Some(ChatEvent::Failed(failed)) => return Err(of_turn(*failed)),
        _ => return Err(ApiError::defect()),
    };
    let response = if streams { streamed(&context, events) } else { whole(events).await? };
    Ok((echo, response).into_response())
}

/// The user and the agent that the body names first. A session sorts its members.
fn first_members(session: Option<&Session>) -> (Option<String>, Option<String>) {
    let first = |list: &Option<Vec<String>>| list.as_ref()?.first().cloned();
    session.map_or((None, None), |session| (first(&session.user_id), first(&session.agent_id)))
}

async fn whole(mut events: Receiver<ChatEvent>) -> Result<Response, ApiError> {
    while let Some(event) = events.recv().await {
        match event {
            ChatEvent::Recalled(..) | ChatEvent::Delta(_) | ChatEvent::Whole(_) => {}
            ChatEvent::Done(done) => return Ok(Json(answer::answer(*done)).into_response()),
            ChatEvent::Failed(failed) => return Err(of_turn(*failed)),
        }
    }
    Err(ApiError::defect())
}

fn streamed(context: &ChatContext, events: Receiver<ChatEvent>) -> Response {
    events::response(memcloud_sse::named("memories", context), events, |event| match event {
        ChatEvent::Recalled(..) => Bytes::new(),
        ChatEvent::Delta(delta) => delta_event(delta.text),
        ChatEvent::Whole(completion) => delta_event(completion.text),
        ChatEvent::Done(done) => memcloud_sse::named("done", &answer::end(&done)),
        ChatEvent::Failed(failed) => memcloud_sse::named("error", &of_turn(*failed).into_body(hint::of)),
    })
}

fn delta_event(content: String) -> Bytes {
    if content.is_empty() { Bytes::new() } else { memcloud_sse::named("delta", &ChatDelta { content }) }
}

/// The turn that a request asks for.
fn turn(
    limits: &Limits,
    session: Option<Checked<ChatSession>>,
    body: ChatRequest,
    problems: &mut Problems,
) -> Option<ChatTurn> {
    let limit = limits.check_limit(body.limit.map(|Integer(limit)| limit), USUAL_MEMORIES);
    let limit = problems.take_at(Place::body().at("limit"), limit);
    let question = question(&body.messages, limits, problems);
    let mut request = Map::new();
    if let Some(model) = body.model.filter(|model| !model.is_empty()) {
        request.insert("model".into(), model.into());
    }
    request.insert("messages".into(), body.messages.into());
    request.insert("stream".into(), body.stream.unwrap_or_default().into());
    Some(ChatTurn {
        session: session?,
        question: question?,
        is_new: true,
        request: Arc::new(request.into()),
        limit: limit?,
        retry: Retry::BRIEFLY,
        asks_usage: true,
    })
}

/// What the user said last.
fn question(messages: &[Value], limits: &Limits, problems: &mut Problems) -> Option<String> {
    problems.take(check_count(messages.len()))?;
    let place = |number| Place::body().at("messages").item(number);
    for (number, message) in messages.iter().enumerate() {
        check(message, &place(number), problems);
    }
    let (last, place) = (messages.last()?, place(messages.len() - 1));
    let role = place.clone().at("role");
    if last.is_object() && last["role"] != "user" && !problems.touch(&role) {
        let msg = "the last message is not the user's";
        problems.push(Problem::new(role, "value_error", msg, "last_not_from_user"));
        return None;
    }
    let text = message::text(&last["content"])?;
    problems.take_at(place.at("content"), limits.check_text(Field::Content, &text));
    Some(text)
}

fn check(message: &Value, place: &Place, problems: &mut Problems) {
    if !message.is_object() {
        let problem = Problem::new(place.clone(), "dict_type", "a message is an object", "wrong_type");
        return problems.push(problem);
    }
    let role = message["role"].as_str().unwrap_or_default();
    if !matches!(role, "system" | "developer" | "user" | "assistant") {
        let place = place.clone().at("role");
        problems.push(Problem::new(place, "value_error", "there is no such role", "unknown_role"));
    }
    let place = place.clone().at("content");
    match message::text(&message["content"]) {
        None => {
            let msg = "this is neither a text nor a list of parts, each with a 'type'";
            problems.push(Problem::new(place, "content_type", msg, "wrong_type"));
        }
        Some(text) if text.contains('\0') => {
            problems.push(Problem::of(&Violation::new(Field::Content, Rule::NulCharacter), place));
        }
        Some(_) => {}
    }
}
