//! How a memory is stored: checked, embedded, and appended in one transaction. The answer means durable.

use std::collections::BTreeMap;

use half::f16;
use memcloud_domain::{Episode, EpisodeId, Error, Member, Metadata, NewEpisode, Purpose, Space};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Memory;
use crate::profile;
use crate::search::Embedded;
use crate::text::analysis::{Analysis, passage};
use memcloud_ports::{Appended, Batch, FactTarget, Idempotency, Intent, Prepared};

/// Batches of up to so many episodes are begun in the engine while their vectors are worked out.
const BEGUN_AT_ONCE: usize = 100;

/// Episodes to be stored together or not at all.
#[derive(Clone, Debug)]
pub struct StoreRequest {
    /// The space of all the episodes.
    pub space: Space,
    /// Who takes part in which session; united with what is known.
    pub attendance: Vec<SessionMembers>,
    /// The episodes, in order.
    pub episodes: Vec<NewEpisode>,
    /// The client's name for this request: sent again with the same content it stores nothing new and answers the
    /// same ids.
    pub idempotency_key: Option<String>,
}

/// Who takes part in a session.
#[derive(Clone, Debug)]
pub struct SessionMembers {
    /// The session's name.
    pub session: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The ids of the episodes, in the order of the request.
    pub ids: Vec<EpisodeId>,
    /// Whether the request had been stored before, so that this one changed nothing.
    pub repeated: bool,
}

impl Memory {
    /// Stores episodes. When this answers, they are durable, and the very next search finds them.
    pub async fn store(&self, request: StoreRequest) -> Result<Stored, Error> {
        self.store_knowing(request, None).await
    }

    /// The same where the embedding of a text is known already.
    pub(crate) async fn store_knowing(
        &self,
        request: StoreRequest,
        known: Option<&Embedded>,
    ) -> Result<Stored, Error> {
        self.check(&request)?;
        self.bind().await?;
        let idempotency = request.idempotency_key.as_deref().map(|key| idempotency(key, &request));
        if let Some(idempotency) = idempotency
            && let Some(ids) = self.store.episodes.repeated(idempotency).await?
        {
            return Ok(Stored { ids, repeated: true });
        }
        let (mut episodes, intent) = self.prepare(&request.space, request.episodes, known).await?;
        for prepared in &mut episodes {
            prepared.lessons = self.lessons(&prepared.episode, &request.attendance);
        }
        let ids = episodes.iter().map(|prepared| prepared.episode.id).collect();
        let sessions = request.attendance.into_iter().map(|a| (a.session, a.members)).collect();
        let batch = Batch { space: request.space, sessions, episodes, idempotency, intent };
        Ok(match self.store.episodes.append(batch).await? {
            Appended::Stored => Stored { ids, repeated: false },
            Appended::Repeated(ids) => Stored { ids, repeated: true },
        })
    }

    /// Gives the episodes their ids and works out all that is derived from them. Meanwhile the engine begins.
    async fn prepare(
        &self,
        space: &Space,
        episodes: Vec<NewEpisode>,
        known: Option<&Embedded>,
    ) -> Result<(Vec<Prepared>, Option<Intent>), Error> {
        let now = self.clock.now();
        let episodes: Vec<Episode> = episodes
            .into_iter()
            .zip(0..)
            .map(|(new, place)| Episode {
                id: EpisodeId::new(now, place),
                space: space.clone(),
                session: new.session,
                content: new.content,
                producer: new.producer,
                produced_for: new.produced_for,
                role: new.role,
                kind: new.kind,
                metadata: new.metadata,
                created_at: new.created_at.unwrap_or(now),
                ingested_at: now,
                purpose: new.purpose,
            })
            .collect();
        let begun = async {
            // A large batch may wait for the model for longer than an engine waits for it.
            if episodes.len() > BEGUN_AT_ONCE {
                return Ok(None);
            }
            self.store.episodes.begin(&episodes, self.embedder.is_some()).await
        };
        let (intent, vectors) = tokio::try_join!(begun, self.vectors(&episodes, known))?;
        let prepared = episodes
            .into_iter()
            .zip(vectors)
            .map(|(episode, vector)| Prepared {
                analysis: Analysis::of(&episode).encode(),
                episode,
                vector,
                lessons: vec![],
            })
            .collect();
        Ok((prepared, intent))
    }

    /// What is to be learned from an episode: facts about the person who said it. What is stored to be learned from waits
    /// even where nothing learns yet.
    fn lessons(&self, episode: &Episode, attendance: &[SessionMembers]) -> Vec<FactTarget> {
        let wanted = match episode.purpose {
            Purpose::Recall => self.learns && !is_of_a_program(episode, attendance),
            Purpose::ProfileOnly => true,
            Purpose::Transcript => false,
        };
        let lesson = || FactTarget { owner: episode.producer.clone(), category: profile::CATEGORY.into() };
        if wanted { vec![lesson()] } else { vec![] }
    }

    /// The vectors of the episodes, where a model runs and the episode is to be recalled.
    pub(crate) async fn vectors(
        &self,
        episodes: &[Episode],
        known: Option<&Embedded>,
    ) -> Result<Vec<Option<Vec<f16>>>, Error> {
        let mut vectors = vec![None; episodes.len()];
        let Some(embedder) = &self.embedder else {
            return Ok(vectors);
        };
        let half = |vector: &[f32]| Some(vector.iter().copied().map(f16::from_f32).collect());
        let (mut wanted, mut passages) = (vec![], vec![]);
        for (i, episode) in episodes.iter().enumerate().filter(|(_, e)| e.purpose == Purpose::Recall) {
            let passage = passage(episode);
            if let Some(known) = known.filter(|known| known.text == passage) {
                vectors[i] = half(&known.vector);
            } else {
                wanted.push(i);
                passages.push(passage);
            }
        }
        if !wanted.is_empty() {
            for (i, vector) in wanted.into_iter().zip(embedder.embed_documents(passages).await?) {
                vectors[i] = half(&vector);
            }
        }
        Ok(vectors)
    }

    fn check(&self, request: &StoreRequest) -> Result<(), Error> {
        self.check_name("org", &request.space.org)?;
        self.check_name("group_id", &request.space.project)?;
        for attendance in &request.attendance {
            self.check_name("session_id", &attendance.session)?;
            for member in &attendance.members {
                self.check_name("user_id or agent_id", member.name())?;
            }
        }
        if let Some(key) = &request.idempotency_key {
            self.check_name("Idempotency-Key", key)?;
        }
        request.episodes.iter().try_for_each(|episode| self.check_episode(episode))
    }

    fn check_episode(&self, episode: &NewEpisode) -> Result<(), Error> {
        self.check_name("session_id", &episode.session)?;
        self.check_name("producer", &episode.producer)?;
        self.check_name("produced_for", &episode.produced_for)?;
        self.check_name("role", &episode.role)?;
        self.check_name("episode_type", &episode.kind)?;
        if episode.content.trim().is_empty() {
            return Err(Error::EmptyContent);
        }
        let limit = self.limits.content_bytes;
        if episode.content.len() > limit {
            return Err(Error::ContentTooLong { bytes: episode.content.len(), limit });
        }
        if episode.content.contains('\0') {
            return Err(Error::NulCharacter { field: "episode_content" });
        }
        if has_nul(&episode.metadata) {
            return Err(Error::NulCharacter { field: "metadata" });
        }
        Ok(())
    }

    pub(crate) fn check_name(&self, field: &'static str, name: &str) -> Result<(), Error> {
        let limit = self.limits.name_bytes;
        if name.len() > limit {
            return Err(Error::NameTooLong { field, bytes: name.len(), limit });
        }
        if name.contains('\0') {
            return Err(Error::NulCharacter { field });
        }
        Ok(())
    }
}

/// Whether a program said it, not a person.
fn is_of_a_program(episode: &Episode, attendance: &[SessionMembers]) -> bool {
    let mut present = attendance.iter().flat_map(|attendance| &attendance.members);
    let name = &episode.producer;
    let is_agent = present.clone().any(|member| matches!(member, Member::Agent(agent) if agent == name));
    let is_user = present.any(|member| matches!(member, Member::User(user) if user == name));
    matches!(episode.role.as_str(), "assistant" | "system" | "developer" | "tool") || (is_agent && !is_user)
}

/// NUL is valid in JSON but no PostgreSQL text can hold it, and no engine shall keep what another cannot.
fn has_nul(metadata: &Metadata) -> bool {
    fn inside(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(inside),
            Value::Object(map) => has_nul(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    metadata.iter().any(|(key, value)| key.contains('\0') || inside(value))
}

/// What makes this request recognisable when it comes again: the key within its space, and all that it says.
fn idempotency(key: &str, request: &StoreRequest) -> Idempotency {
    let mut said = Fingerprint::new(&[&request.space.org, &request.space.project]);
    for episode in &request.episodes {
        let metadata = sorted(&Value::Object(episode.metadata.clone())).to_string();
        let created = episode.created_at.map_or(String::new(), |t| t.to_string());
        let purpose = match episode.purpose {
            Purpose::Recall => "recall",
            Purpose::ProfileOnly => "profile",
            Purpose::Transcript => "transcript",
        };
        for text in [
            &episode.session,
            &episode.content,
            &episode.producer,
            &episode.produced_for,
            &episode.role,
            &episode.kind,
            &metadata,
            &created,
            purpose,
        ] {
            said.add(text);
        }
    }
    let named = Fingerprint::new(&[&request.space.org, &request.space.project, key]);
    Idempotency { key: named.finish(), request: said.finish() }
}

/// The same JSON with the keys of every object in order: a client that builds its metadata anew may shuffle them.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}

/// SHA-256 over texts with their lengths, so that no two lists of texts run together.
struct Fingerprint(Sha256);

impl Fingerprint {
    fn new(texts: &[&str]) -> Self {
        let mut fingerprint = Self(Sha256::new());
        for text in texts {
            fingerprint.add(text);
        }
        fingerprint
    }

    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
