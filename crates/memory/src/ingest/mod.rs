//! Stores episodes: checks them, analyzes and embeds them, and appends them in one transaction. When a call returns, what
//! it stored is durable.

mod check;
mod idempotency;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use half::f16;
use memcloud_domain::{
    Clock, Episode, EpisodeId, Error, FactSet, FactTarget, Member, NewEpisode, Purpose, Space, Violation,
};
use memcloud_ports::{Appended, Batch, EpisodeStore, Intent, Prepared};
use memcloud_tasks::{INLINE_BYTES, INLINE_SCANNED_BYTES, step_aside};
use serde_json::Value;

use crate::compute::compute;
use crate::embedding::Embedding;
use crate::limits::{Checked, Limits};
use crate::profile::categories::Categories;
use crate::text::analysis::{Analysis, embedded_text};

/// The largest batch that an engine begins to write while its vectors are computed. Embedding a larger batch may take
/// longer than an engine keeps an intent.
const MAX_BEGUN: usize = 100;

/// Episodes to be stored together or not at all.
#[derive(Clone, Debug)]
pub struct StoreRequest {
    /// The space of all the episodes.
    pub space: Space,
    /// Members to add to the sessions.
    pub members: Vec<SessionMembers>,
    /// The episodes, in order.
    pub episodes: Vec<NewEpisode>,
    /// The client's name for this request. A repeated request with the same key and content stores no episode and returns the
    /// ids of the first one. Its members are added.
    pub idempotency_key: Option<String>,
}

impl StoreRequest {
    /// This request when it breaks no rule, else every rule that it breaks.
    pub fn checked(self, limits: &Limits) -> Result<Checked<Self>, Vec<Violation>> {
        Checked::by(self, |request| check::request(request, limits))
    }

    /// Whether reading the messages takes longer than switching to another thread. Metadata counts by its texts, and as large
    /// where it has objects or lists.
    fn is_large(&self) -> bool {
        let metadata = |value: &Value| match value {
            Value::String(text) => text.len(),
            Value::Array(_) | Value::Object(_) => INLINE_BYTES,
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        };
        let bytes = |episode: &NewEpisode| {
            episode.content.len() + episode.metadata.values().map(metadata).sum::<usize>()
        };
        self.episodes.iter().map(bytes).sum::<usize>() > INLINE_BYTES
    }
}

/// Members of one session.
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

/// Stores episodes. Clones share everything.
#[derive(Clone)]
pub(crate) struct Ingest {
    episodes: Arc<dyn EpisodeStore>,
    embedding: Arc<Embedding>,
    categories: Arc<Categories>,
    clock: Arc<dyn Clock>,
    /// Whether messages of people are queued for the learner.
    pub(crate) learns: bool,
}

impl Ingest {
    pub(crate) fn new(
        episodes: Arc<dyn EpisodeStore>,
        embedding: Arc<Embedding>,
        categories: Arc<Categories>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { episodes, embedding, categories, clock, learns: false }
    }

    pub(crate) async fn store(&self, request: Checked<StoreRequest>) -> Result<Stored, Error> {
        self.embedding.bind().await?;
        let (request, idempotency) = compute(request.is_large(), "reading a request", move || {
            let idempotency = request.idempotency_key.as_deref().map(|key| idempotency::of(key, &request));
            (request, idempotency)
        })
        .await?;
        if let Some(idempotency) = idempotency
            && let Some(ids) = self.episodes.repeated(idempotency).await?
        {
            self.add_members(request.into_inner()).await?;
            return Ok(Stored { ids, repeated: true });
        }
        let is_large = request.is_large();
        let StoreRequest { space, members, episodes, .. } = request.into_inner();
        let (episodes, intent) = self.prepare(&space, &members, episodes, is_large).await?;
        let ids = episodes.iter().map(|prepared| prepared.episode.id).collect();
        let sessions = members.into_iter().map(|of| (of.session, of.members)).collect();
        let batch = Batch { space, sessions, episodes, idempotency, intent };
        Ok(match self.episodes.append(batch).await? {
            Appended::Stored => Stored { ids, repeated: false },
            Appended::Repeated(ids) => Stored { ids, repeated: true },
        })
    }

    /// Records the members of a repeated request: it may name others than the first one.
    async fn add_members(&self, request: StoreRequest) -> Result<(), Error> {
        let StoreRequest { space, members, .. } = request;
        let sessions = members.into_iter().map(|of| (of.session, of.members)).collect();
        let batch = Batch { space, sessions, episodes: vec![], idempotency: None, intent: None };
        self.episodes.append(batch).await.map(drop)
    }

    /// Gives the episodes their ids and computes everything that is derived from them, while the engine begins to write.
    async fn prepare(
        &self,
        space: &Space,
        members: &[SessionMembers],
        episodes: Vec<NewEpisode>,
        is_large: bool,
    ) -> Result<(Vec<Prepared>, Option<Intent>), Error> {
        let now = self.clock.now();
        let episodes: Vec<Episode> = episodes
            .into_iter()
            .zip(0..)
            .map(|(new, number)| Episode {
                id: EpisodeId::new(now, number),
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
            if episodes.len() > MAX_BEGUN {
                return Ok(None);
            }
            self.episodes.begin(&episodes, self.embedding.is_available()).await
        };
        let targets = self.fact_targets(&episodes, members);
        let (intent, vectors, targets) = tokio::try_join!(begun, self.embed(&episodes), targets)?;
        let prepared = compute(is_large, "analyzing messages", move || {
            let prepared = episodes.into_iter().zip(vectors).zip(targets);
            let prepared = prepared.map(|((episode, vector), fact_targets)| {
                let analysis = Analysis::of(&episode).encode();
                Prepared { episode, vector, analysis, fact_targets }
            });
            prepared.collect()
        });
        Ok((prepared.await?, intent))
    }

    /// What to learn from each episode: all enabled categories of its set.
    async fn fact_targets(
        &self,
        episodes: &[Episode],
        members: &[SessionMembers],
    ) -> Result<Vec<Vec<FactTarget>>, Error> {
        let programs = programs(members);
        let sets: Vec<Option<FactSet>> =
            episodes.iter().map(|episode| self.fact_set(episode, &programs)).collect();
        let distinct: BTreeSet<&FactSet> = sets.iter().flatten().collect();
        let distinct: Vec<FactSet> = distinct.into_iter().cloned().collect();
        let enabled = self.categories.enabled(&distinct).await?;
        let enabled: BTreeMap<FactSet, Vec<String>> = distinct.into_iter().zip(enabled).collect();
        let targets = |set: FactSet| {
            let categories = enabled.get(&set).into_iter().flatten();
            categories.map(|category| FactTarget { set: set.clone(), category: category.clone() }).collect()
        };
        Ok(sets.into_iter().map(|set| set.map(targets).unwrap_or_default()).collect())
    }

    /// The set that an episode adds to: the facts about the person who wrote it. An episode that was stored for the profile
    /// only is queued even while no learner runs.
    fn fact_set(&self, episode: &Episode, programs: &HashSet<&str>) -> Option<FactSet> {
        let is_wanted = match episode.purpose {
            Purpose::Recall => self.learns && !is_from_program(episode, programs),
            Purpose::ProfileOnly => true,
            Purpose::Transcript => false,
        };
        is_wanted.then(|| FactSet::about(&episode.space, &episode.producer))
    }

    /// The vectors of those episodes that searches find; `None` for the others and without an embedder.
    pub(crate) async fn embed(&self, episodes: &[Episode]) -> Result<Vec<Option<Vec<f16>>>, Error> {
        let mut vectors = vec![None; episodes.len()];
        if !self.embedding.is_available() {
            return Ok(vectors);
        }
        let bytes: usize = episodes.iter().map(|episode| episode.content.len()).sum();
        let recalled = episodes.iter().enumerate().filter(|(_, episode)| episode.purpose == Purpose::Recall);
        let texts = recalled.map(|(at, episode)| (at, embedded_text(episode)));
        let (at, texts): (Vec<usize>, Vec<String>) =
            step_aside(bytes > INLINE_SCANNED_BYTES, || texts.unzip());
        for (at, vector) in at.into_iter().zip(self.embedding.documents(texts).await?.unwrap_or_default()) {
            vectors[at] = Some(vector);
        }
        Ok(vectors)
    }
}

/// The members that are agents, and users in no session.
fn programs(members: &[SessionMembers]) -> HashSet<&str> {
    let members = || members.iter().flat_map(|of| &of.members);
    let agents = members().filter(|member| matches!(member, Member::Agent(_))).map(Member::name);
    let users: HashSet<&str> =
        members().filter(|member| matches!(member, Member::User(_))).map(Member::name).collect();
    agents.filter(|name| !users.contains(name)).collect()
}

/// Whether a program wrote the episode, not a person.
fn is_from_program(episode: &Episode, programs: &HashSet<&str>) -> bool {
    matches!(episode.role.as_str(), "assistant" | "system" | "developer" | "tool")
        || programs.contains(episode.producer.as_str())
}
