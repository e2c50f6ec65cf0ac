//! `POST /v1/chat`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use memcloud_domain::{Field, Rule, Violation};
use memcloud_memory::{ChatEvent, ChatSession, ChatTurn, Retry};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use utoipa::ToSchema;

use super::answer::{AnswerBody, ContextBody, EndBody};
use super::events::{self, Line};
use super::{USUAL_MEMORIES, check_count, conversation, message};
use crate::App;
use crate::allowed::{Allowed, ReadAndWrite};
use crate::api::v1::{NamedSession, SessionBody, SessionHeaders};
use crate::body::JsonBody;
use crate::failure::{Failure, FailureBody};
use crate::fields::{Fields, Place};

/// A turn of a conversation.
#[derive(ToSchema)]
#[schema(as = ChatRequest)]
#[expect(dead_code, reason = "describes what `turn` reads")]
pub(crate) struct TalkBody {
    /// Whose memory it is and which conversation. Its first user asks, its first agent answers.
    session: Option<SessionBody>,
    /// The conversation up to now, in OpenAI's shape; the last message is the user's. Only the last is stored.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Map<String, Value>>,
    /// The model. Default: the instance's.
    model: Option<String>,
    /// Whether the answer comes as server-sent events: `memories`, then `delta` as often as the model says something, then
    /// `done` or `error`.
    stream: Option<bool>,
    /// The most memories to recall. Default: 20.
    limit: Option<i64>,
}

/// Answers with what is remembered, and remembers both sides.
///
/// What the user said and what the model answered are stored when this answers, also when the client has gone before.
/// When the model fails, what the user said is stored all the same, and `stored` in the error says so.
#[utoipa::path(
    post,
    path = "/v1/chat",
    operation_id = "chat",
    tag = "chat",
    params(SessionHeaders),
    request_body = TalkBody,
    responses(
        (status = 200, description = "The answer, or the events of it.", body = AnswerBody),
        (status = 422, description = "The request does not validate, or is more than the model can read.", body = FailureBody),
        (status = 429, description = "A limit of the instance is reached.", body = FailureBody),
        (status = 502, description = "The model failed.", body = FailureBody),
        (status = 503, description = "There is no model, or it cannot answer at present.", body = FailureBody),
    ),
)]
pub(crate) async fn talk(
    allowed: Allowed<ReadAndWrite>,
    State(app): State<App>,
    headers: HeaderMap,
    JsonBody(mut body): JsonBody,
) -> Result<Response, Failure> {
    let chat = app.chat()?;
    let streams = body.truth("stream")?;
    let (user, agent) = (first_named(&body, "user_id"), first_named(&body, "agent_id"));
    let session = NamedSession::of_request(&headers, &mut body)?;
    let turn = turn(&app, conversation(&allowed, &session, user, agent)?, body, streams)?;
    let mut events = chat.begin(turn);
    let context = match events.recv().await {
        Some(ChatEvent::Recalled(context, took)) => {
            app.measures.recalled(took);
            ContextBody::from(&*context)
        }
        Some(ChatEvent::Failed(failed)) => return Err((*failed).into()),
        _ => return Err(Failure::defect()),
    };
    let response = if streams { streamed(&context, events) } else { whole(events).await? };
    Ok((session.echo(), response).into_response())
}

/// Whom the body names first: sessions keep their members in another order.
fn first_named(body: &Fields, list: &str) -> Option<String> {
    Some(body.peek("session")?.get(list)?.get(0)?.as_str()?.to_owned())
}

async fn whole(mut events: UnboundedReceiver<ChatEvent>) -> Result<Response, Failure> {
    while let Some(event) = events.recv().await {
        match event {
            ChatEvent::Recalled(..) | ChatEvent::Delta(_) | ChatEvent::Whole(_) => {}
            ChatEvent::Done(done) => return Ok(Json(AnswerBody::from(*done)).into_response()),
            ChatEvent::Failed(failed) => return Err((*failed).into()),
        }
    }
    Err(Failure::defect())
}

fn streamed(context: &ContextBody, events: UnboundedReceiver<ChatEvent>) -> Response {
    events::response(events::named("memories", context), events, |event| match event {
        ChatEvent::Recalled(..) => Line::Nothing,
        ChatEvent::Delta(delta) => said(&delta.text),
        ChatEvent::Whole(completion) => said(&completion.text),
        ChatEvent::Done(done) => Line::Last(events::named("done", &EndBody::from(&*done))),
        ChatEvent::Failed(failed) => Line::Last(events::named("error", &Failure::from(*failed).into_body())),
    })
}

fn said(text: &str) -> Line {
    if text.is_empty() {
        Line::Nothing
    } else {
        Line::Bytes(events::named("delta", &json!({"content": text})))
    }
}

/// The turn that a request asks for.
fn turn(app: &App, conversation: ChatSession, mut body: Fields, streams: bool) -> Result<ChatTurn, Failure> {
    let limits = app.memory.limits();
    let limit = body.place("limit").limit(body.integer("limit")?, USUAL_MEMORIES, limits.results)?;
    let model = body.optional_text("model")?;
    let place = body.place("messages");
    let messages = body.required_list("messages")?;
    let question = question(&messages, &place)?;
    if let Err(error) = limits.check_text(Field::Content, &question) {
        return Err(place.item(messages.len() - 1).at("content").refuse(&error, &Value::String(question)));
    }
    let mut request = Map::new();
    if let Some(model) = model.filter(|model| !model.is_empty()) {
        request.insert("model".into(), model.into());
    }
    request.insert("messages".into(), messages.into());
    request.insert("stream".into(), streams.into());
    Ok(ChatTurn {
        session: conversation,
        question,
        is_new: true,
        request: request.into(),
        limit,
        retry: Retry::BRIEFLY,
        asks_usage: true,
    })
}

/// What the user said last, once all messages are as they should be.
fn question(messages: &[Value], place: &Place) -> Result<String, Failure> {
    check_count(messages, place)?;
    for (number, message) in messages.iter().enumerate() {
        check(message, &place.item(number))?;
    }
    let (at, last) = (place.item(messages.len() - 1), &messages[messages.len() - 1]);
    if last["role"] != "user" {
        let msg = "the last message is not the user's";
        let hint = "end with the message that is to be answered, with the role 'user'";
        return Err(at.at("role").wrong("value_error", msg, &last["role"], "last_not_from_user", hint));
    }
    let question = message::text(&last["content"]).unwrap_or_default();
    if question.trim().is_empty() {
        return Err(at.at("content").refuse(&Violation::new(Field::Content, Rule::Empty), &last["content"]));
    }
    Ok(question)
}

fn check(message: &Value, place: &Place) -> Result<(), Failure> {
    if !message.is_object() {
        let hint = "send {\"role\": \"user\", \"content\": \"…\"}";
        return Err(place.clone().wrong("dict_type", "a message is an object", message, "wrong_type", hint));
    }
    let role = message["role"].as_str().unwrap_or_default();
    if !matches!(role, "system" | "developer" | "user" | "assistant") {
        let msg = "there is no such role";
        let hint = "use 'system', 'user' or 'assistant'; for tools there is POST /v1/chat/completions";
        return Err(place.at("role").wrong("value_error", msg, &message["role"], "unknown_role", hint));
    }
    let content = &message["content"];
    let Some(text) = message::text(content) else {
        let hint = "send a text, or a list of parts that each have a 'type'";
        let msg = "this is neither a text nor a list of parts";
        return Err(place.at("content").wrong("content_type", msg, content, "wrong_type", hint));
    };
    if text.contains('\0') {
        return Err(place.at("content").refuse(&Violation::new(Field::Content, Rule::NulCharacter), content));
    }
    Ok(())
}
