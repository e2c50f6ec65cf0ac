//! Stores both sides of a turn.

use memcloud_domain::{EpisodeId, Error, Metadata, NewEpisode, Purpose, Timestamp};
use memcloud_tasks::{INLINE_SCANNED_BYTES, step_aside};

use crate::chat::ask::Reply;
use crate::chat::{Chat, ChatSession};
use crate::ingest::{SessionMembers, StoreRequest};
use crate::text::blank::is_blank;

impl Chat {
    /// Stores the question; `None` when it is empty. When the newest message of the session is the same question, without an
    /// answer, the client has repeated its request, and that message's id is returned.
    pub(super) async fn store_question(
        &self,
        session: &ChatSession,
        question: &str,
        asked_at: Timestamp,
    ) -> Result<Option<EpisodeId>, Error> {
        let Some(question) = storable(question, self.limits.content_bytes) else { return Ok(None) };
        let newest = self.episodes.newest(&session.space, &session.session, 1).await?;
        if let Some(newest) = newest.last()
            && (&newest.producer, &newest.content) == (&session.user, &question)
        {
            return Ok(Some(newest.id));
        }
        let episode = NewEpisode {
            session: session.session.clone(),
            content: question,
            producer: session.user.clone(),
            produced_for: session.agent.clone(),
            role: "user".into(),
            kind: "message".into(),
            metadata: Metadata::new(),
            created_at: Some(asked_at),
            purpose: Purpose::Recall,
        };
        self.store_message(session, episode).await.map(Some)
    }

    /// Stores the answer; `None` when it is empty.
    pub(super) async fn store_answer(
        &self,
        session: &ChatSession,
        reply: &Reply,
        is_echo: bool,
    ) -> Result<Option<EpisodeId>, Error> {
        let Some(content) = storable(&reply.text, self.limits.content_bytes) else { return Ok(None) };
        let mut metadata = Metadata::new();
        if reply.error.is_some() || content.len() < reply.text.len() {
            metadata.insert("incomplete".into(), true.into());
        }
        let episode = NewEpisode {
            session: session.session.clone(),
            content,
            producer: session.agent.clone(),
            produced_for: session.user.clone(),
            role: "assistant".into(),
            kind: "message".into(),
            metadata,
            created_at: None,
            purpose: if is_echo { Purpose::Transcript } else { Purpose::Recall },
        };
        self.store_message(session, episode).await.map(Some)
    }

    async fn store_message(&self, session: &ChatSession, episode: NewEpisode) -> Result<EpisodeId, Error> {
        let members =
            vec![SessionMembers { session: session.session.clone(), members: session.members.clone() }];
        let (space, episodes) = (session.space.clone(), vec![episode]);
        let request = StoreRequest { space, members, episodes, idempotency_key: None };
        let stored = self.ingest.store(request.checked(&self.limits)?).await?;
        stored.ids.first().copied().ok_or(Error::ShuttingDown)
    }
}

/// The part of a text that can be stored: within so many bytes and without NUL. `None` when nothing is left.
pub(crate) fn storable(text: &str, bytes: usize) -> Option<String> {
    let text = &text[..text.floor_char_boundary(bytes)];
    step_aside(text.len() > INLINE_SCANNED_BYTES, || {
        let text = text.replace('\0', " ");
        (!is_blank(&text)).then_some(text)
    })
}
