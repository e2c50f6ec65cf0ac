//! Stores what was said in a turn.

use memcloud_model::{EpisodeId, Error, Metadata, NewEpisode, Use};

use crate::chat::converse::Reply;
use crate::chat::{Chat, Turn};
use crate::{Attendance, StoreRequest};

impl Chat {
    /// Stores what the user said; `None` when there is nothing new.
    pub(super) async fn keep_question(&self, turn: &Turn) -> Result<Option<EpisodeId>, Error> {
        if !turn.is_new {
            return Ok(None);
        }
        let (from, to) = (turn.user.clone(), turn.agent.clone());
        self.keep(turn, from, to, "user", &turn.question, Metadata::new(), Use::Recall).await
    }

    /// Stores what the model answered; `None` when that was nothing.
    pub(super) async fn keep_answer(
        &self,
        turn: &Turn,
        reply: &Reply,
        is_echo: bool,
    ) -> Result<Option<EpisodeId>, Error> {
        let mut metadata = Metadata::new();
        if reply.error.is_some() {
            metadata.insert("incomplete".into(), true.into());
        }
        let purpose = if is_echo { Use::Transcript } else { Use::Recall };
        let (from, to) = (turn.agent.clone(), turn.user.clone());
        self.keep(turn, from, to, "assistant", &reply.text, metadata, purpose).await
    }

    #[expect(clippy::too_many_arguments, reason = "they are what an episode has")]
    async fn keep(
        &self,
        turn: &Turn,
        producer: String,
        produced_for: String,
        role: &str,
        content: &str,
        metadata: Metadata,
        purpose: Use,
    ) -> Result<Option<EpisodeId>, Error> {
        let limit = self.memory.limits().content_bytes;
        let content = content[..content.floor_char_boundary(limit)].replace('\0', "\u{fffd}");
        if content.trim().is_empty() {
            return Ok(None);
        }
        let episode = NewEpisode {
            session: turn.session.clone(),
            content,
            producer,
            produced_for,
            role: role.into(),
            kind: "message".into(),
            metadata,
            created_at: None,
            purpose,
        };
        let attendance = vec![Attendance { session: turn.session.clone(), members: turn.members.clone() }];
        let request = StoreRequest {
            space: turn.space.clone(),
            attendance,
            episodes: vec![episode],
            idempotency_key: None,
        };
        Ok(self.memory.store(request).await?.ids.first().copied())
    }
}
