//! Stores what was said in a turn.

use memcloud_domain::{EpisodeId, Error, Metadata, NewEpisode, Purpose, Timestamp};

use crate::chat::converse::Reply;
use crate::chat::{Chat, Conversation};
use crate::search::Embedded;
use crate::{SessionMembers, StoreRequest};

impl Chat {
    /// Stores what the user said; `None` when there is nothing. What was said before and has not been answered since is the
    /// same request once more: it is stored already.
    pub(super) async fn keep_question(
        &self,
        talk: &Conversation,
        question: &str,
        asked_at: Timestamp,
        embedded: Option<&Embedded>,
    ) -> Result<Option<EpisodeId>, Error> {
        let Some(question) = self.kept_form(question) else { return Ok(None) };
        let newest = self.memory.newest(&talk.space, &talk.session, 1).await?;
        if let Some(newest) = newest.last()
            && (&newest.producer, &newest.content) == (&talk.user, &question)
        {
            return Ok(Some(newest.id));
        }
        let said = NewEpisode {
            session: talk.session.clone(),
            content: question,
            producer: talk.user.clone(),
            produced_for: talk.agent.clone(),
            role: "user".into(),
            kind: "message".into(),
            metadata: Metadata::new(),
            created_at: Some(asked_at),
            purpose: Purpose::Recall,
        };
        self.keep(talk, said, embedded).await.map(Some)
    }

    /// Stores what the model answered; `None` when that was nothing.
    pub(super) async fn keep_answer(
        &self,
        talk: &Conversation,
        reply: &Reply,
        is_echo: bool,
    ) -> Result<Option<EpisodeId>, Error> {
        let Some(content) = self.kept_form(&reply.text) else { return Ok(None) };
        let mut metadata = Metadata::new();
        if reply.error.is_some() || content.len() < reply.text.len() {
            metadata.insert("incomplete".into(), true.into());
        }
        let said = NewEpisode {
            session: talk.session.clone(),
            content,
            producer: talk.agent.clone(),
            produced_for: talk.user.clone(),
            role: "assistant".into(),
            kind: "message".into(),
            metadata,
            created_at: None,
            purpose: if is_echo { Purpose::Transcript } else { Purpose::Recall },
        };
        self.keep(talk, said, None).await.map(Some)
    }

    /// A text as the memory keeps it: within its limit and without NUL. `None` when that is nothing.
    fn kept_form(&self, text: &str) -> Option<String> {
        let text = text[..text.floor_char_boundary(self.memory.limits().content_bytes)].replace('\0', " ");
        (!text.trim().is_empty()).then_some(text)
    }

    async fn keep(
        &self,
        talk: &Conversation,
        said: NewEpisode,
        embedded: Option<&Embedded>,
    ) -> Result<EpisodeId, Error> {
        let attendance =
            vec![SessionMembers { session: talk.session.clone(), members: talk.members.clone() }];
        let (space, episodes) = (talk.space.clone(), vec![said]);
        let request = StoreRequest { space, attendance, episodes, idempotency_key: None };
        let stored = self.memory.store_knowing(request, embedded).await?;
        stored.ids.first().copied().ok_or(Error::ShuttingDown)
    }
}
