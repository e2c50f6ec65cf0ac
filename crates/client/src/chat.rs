use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use memcloud_api::native::{ChatAnswer, ChatContext, ChatDelta, ChatEnd, ChatRequest};
use memcloud_domain::with_causes;
use memcloud_sse::{Event, Events};
use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::http::STREAM_TIMEOUT;
use crate::{Client, Error, Refusal, ServerKind};

/// A part of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatEvent {
    /// The part of the memory that the model was given.
    Memories(ChatContext),
    /// More of the answer.
    Delta(String),
    /// Everything is stored. The last event.
    Done(ChatEnd),
}

/// A streamed answer.
pub struct ChatStream {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    events: Events,
}

impl Client {
    /// Chats, and returns the whole answer.
    pub async fn chat(&self, turn: &ChatRequest) -> Result<ChatAnswer, Error> {
        let turn = ChatRequest { stream: None, ..turn.clone() };
        self.0.send(self.0.request(Method::POST, &["v1", "chat"]).json(&turn).timeout(STREAM_TIMEOUT)).await
    }

    /// Chats, and returns the answer as it comes.
    pub async fn chat_stream(&self, turn: &ChatRequest) -> Result<ChatStream, Error> {
        let turn = ChatRequest { stream: Some(true), ..turn.clone() };
        let request = self.0.request(Method::POST, &["v1", "chat"]).json(&turn).timeout(STREAM_TIMEOUT);
        let bytes = self.0.answer(request).await?.bytes_stream();
        Ok(ChatStream { bytes: bytes.map(|piece| piece.map(Vec::from)).boxed(), events: Events::default() })
    }
}

impl ChatStream {
    /// The next event. After [`ChatEvent::Done`] or an error there are no more.
    pub async fn next(&mut self) -> Result<ChatEvent, Error> {
        loop {
            while let Some(event) =
                self.events.next_event().map_err(|error| Error::BrokenOff(error.to_string()))?
            {
                if let Some(event) = read(&event)? {
                    return Ok(event);
                }
            }
            match self.bytes.next().await {
                Some(Ok(piece)) => self.events.push(&piece),
                Some(Err(error)) => return Err(Error::BrokenOff(with_causes(&error))),
                None => return Err(Error::BrokenOff("the server closed the connection".into())),
            }
        }
    }
}

/// An event that this client knows; `None` for any other.
fn read(event: &Event) -> Result<Option<ChatEvent>, Error> {
    let data = event.data.as_deref().unwrap_or_default();
    Ok(match event.name.as_deref() {
        Some("memories") => Some(ChatEvent::Memories(parse(data)?)),
        Some("delta") => Some(ChatEvent::Delta(parse::<ChatDelta>(data)?.content)),
        Some("done") => Some(ChatEvent::Done(parse(data)?)),
        Some("error") => {
            return Err(Error::Refused(Box::new(Refusal::of(ServerKind::Instance, 0, None, parse(data)?))));
        }
        _ => None,
    })
}

fn parse<T: DeserializeOwned>(data: &str) -> Result<T, Error> {
    serde_json::from_str(data).map_err(|error| Error::BrokenOff(error.to_string()))
}
