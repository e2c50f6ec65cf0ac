//! `POST /v1/chat`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use memcloud_api::memmachine_v1::Session;
use memcloud_api::native::{ChatAnswer, ChatContext, ChatRequest};
use memcloud_api::{Error, Integer, Place, Problem, Problems};
use memcloud_domain::{Field, Rule, Violation};
use memcloud_memory::{ChatEvent, ChatSession, ChatTurn, Limits, Retry};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Receiver;

use super::error::failed_turn;
use super::events;
use super::{USUAL_MEMORIES, answer, chat_session, check_count, message};
use crate::App;
use crate::allowed::{Allowed, ReadAndWrite};
use crate::api::session::{NamedSession, SessionHeaders};
use crate::body::TypedBody;
use crate::error::ApiError;

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
        (status = 200, description = "The answer, or its events.", body = ChatAnswer),
        (status = 422, description = "The request does not validate, or is longer than the model can read.", body = Error),
        (status = 429, description = "A limit of the instance is reached.", body = Error),
        (status = 502, description = "The model failed.", body = Error),
        (status = 503, description = "There is no model, or it cannot answer now.", body = Error),
    ),
)]
pub(crate) async fn chat(
    allowed: Allowed<ReadAndWrite>,
    State(app): State<App>,
    headers: HeaderMap,
    TypedBody { value: body, source }: TypedBody<ChatRequest>,
) -> Result<Response, ApiError> {
    let (chat, limits) = (app.chat()?, app.memory.limits());
    let streams = body.stream.unwrap_or_default();
    let (user, agent) = first_members(body.session.as_ref());
    let session = NamedSession::of_request(&headers, body.session.clone());
    let session = session.map_err(|problems| source.refuse(problems))?;
    let members = chat_session(&allowed, &session, user, agent)?;
    let turn = turn(limits, members, body).map_err(|problems| source.refuse(problems))?;
    let mut events = chat.begin(turn);
    let context = match events.recv().await {
        Some(ChatEvent::Recalled(context, took)) => {
            app.measures.recalled(took);
            answer::context(&context)
        }
        Some(ChatEvent::Failed(failed)) => {
            let place = |violation: &Violation| session.place(violation.field, limits);
            return Err(source.refuse(failed_turn(*failed, place)));
        }
        _ => return Err(ApiError::defect()),
    };
    let response = if streams { streamed(&context, events) } else { whole(events).await? };
    Ok((session.echo(), response).into_response())
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
            ChatEvent::Failed(failed) => return Err((*failed).into()),
        }
    }
    Err(ApiError::defect())
}

fn streamed(context: &ChatContext, events: Receiver<ChatEvent>) -> Response {
    events::response(memcloud_sse::named("memories", context), events, |event| match event {
        ChatEvent::Recalled(..) => Bytes::new(),
        ChatEvent::Delta(delta) => delta_event(&delta.text),
        ChatEvent::Whole(completion) => delta_event(&completion.text),
        ChatEvent::Done(done) => memcloud_sse::named("done", &answer::end(&done)),
        ChatEvent::Failed(failed) => memcloud_sse::named("error", &ApiError::from(*failed).into_body()),
    })
}

fn delta_event(text: &str) -> Bytes {
    if text.is_empty() { Bytes::new() } else { memcloud_sse::named("delta", &json!({"content": text})) }
}

/// The turn that a request asks for, or all of its problems.
fn turn(limits: &Limits, session: ChatSession, body: ChatRequest) -> Result<ChatTurn, Problems> {
    let mut problems = Problems::default();
    let limit = limits.check_limit(body.limit.map(|Integer(limit)| limit), USUAL_MEMORIES);
    let limit = limit.map_err(|violation| Problem::of(&violation, Place::body().at("limit")));
    let limit = problems.take(limit).unwrap_or_default();
    let question = problems.take_all(question(&body.messages, limits)).unwrap_or_default();
    problems.into_result()?;
    let mut request = Map::new();
    if let Some(model) = body.model.filter(|model| !model.is_empty()) {
        request.insert("model".into(), model.into());
    }
    request.insert("messages".into(), body.messages.into());
    request.insert("stream".into(), body.stream.unwrap_or_default().into());
    Ok(ChatTurn {
        session,
        question,
        is_new: true,
        request: request.into(),
        limit,
        retry: Retry::BRIEFLY,
        asks_usage: true,
    })
}

/// What the user said last, when all messages are valid.
fn question(messages: &[Value], limits: &Limits) -> Result<String, Problems> {
    check_count(messages.len())?;
    let place = |number| Place::body().at("messages").item(number);
    let mut problems = Problems::default();
    for (number, message) in messages.iter().enumerate() {
        problems.take(check(message, &place(number)));
    }
    let (number, last) = (messages.len() - 1, &messages[messages.len() - 1]);
    let text = message::text(&last["content"]).unwrap_or_default();
    // A message without a role or a content has its problem already.
    if last["role"].is_string() && last["role"] != "user" {
        let msg = "the last message is not the user's";
        problems.push(Problem::new(place(number).at("role"), "value_error", msg, "last_not_from_user"));
    } else if message::text(&last["content"]).is_some() {
        let checked = limits.check_text(Field::Content, &text);
        problems.take(checked.map_err(|violation| Problem::of(&violation, place(number).at("content"))));
    }
    problems.into_result().map(|()| text)
}

fn check(message: &Value, place: &Place) -> Result<(), Problem> {
    if !message.is_object() {
        return Err(Problem::new(place.clone(), "dict_type", "a message is an object", "wrong_type"));
    }
    let role = message["role"].as_str().unwrap_or_default();
    if !matches!(role, "system" | "developer" | "user" | "assistant") {
        let place = place.clone().at("role");
        return Err(Problem::new(place, "value_error", "there is no such role", "unknown_role"));
    }
    let place = place.clone().at("content");
    let Some(text) = message::text(&message["content"]) else {
        let msg = "this is neither a text nor a list of parts, each with a 'type'";
        return Err(Problem::new(place, "content_type", msg, "wrong_type"));
    };
    if text.contains('\0') {
        return Err(Problem::of(&Violation::new(Field::Content, Rule::NulCharacter), place));
    }
    Ok(())
}
