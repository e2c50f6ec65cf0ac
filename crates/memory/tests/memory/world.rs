//! A memory with everything around it under control.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use memcloud_domain::{Clock, EpisodeId, Error, Filter, Member, NewEpisode, Purpose, Space, Timestamp};
use memcloud_memory::{
    Checked, Hit, Limits, Memory, RankingWeights, SearchQuery, SessionMembers, StoreRequest, Stored,
};
use memcloud_ports::{Embedder, Engine, InMemoryEngine};
use memcloud_store_tests::BagOfWords;

/// 14 June 2023, a Wednesday, 15:30 UTC.
pub(crate) const NOW: i64 = 1_686_756_600_000_000;

/// A clock that a test moves. It advances by a microsecond with each reading, so that later readings are later.
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn advance_minutes(&self, minutes: i64) {
        self.0.fetch_add(minutes * 60_000_000, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
}

/// An embedder that records the texts it is given.
#[derive(Default)]
pub(crate) struct RecordingEmbedder {
    texts: Mutex<Vec<String>>,
}

impl RecordingEmbedder {
    /// How often this text was embedded.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.texts.lock().unwrap().iter().filter(|known| *known == text).count()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.texts.lock().unwrap().clone()
    }
}

#[async_trait]
impl Embedder for RecordingEmbedder {
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        self.texts.lock().unwrap().push(text.to_owned());
        BagOfWords.embed_query(text).await
    }

    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        self.texts.lock().unwrap().extend(texts.iter().cloned());
        BagOfWords.embed_documents(texts).await
    }

    fn space(&self) -> &str {
        BagOfWords.space()
    }

    fn dimensions(&self) -> usize {
        BagOfWords.dimensions()
    }
}

/// A memory over an empty engine.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) embedder: Arc<RecordingEmbedder>,
    pub(crate) memory: Memory,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    /// A memory that also queues messages for the learner.
    pub(crate) async fn learning() -> Self {
        let world = Self::new().await;
        Self { memory: world.memory.learning(), ..world }
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(NOW)));
        let engine = InMemoryEngine::engine(clock.clone());
        let embedder = Arc::new(RecordingEmbedder::default());
        let embeds = Some(embedder.clone() as Arc<dyn Embedder>);
        let weights = RankingWeights::default();
        let memory = Memory::open(engine.clone(), embeds, clock.clone(), limits, weights).await.unwrap();
        Self { engine, clock, embedder, memory }
    }

    /// Another memory over the same engine, whose indexes are empty.
    pub(crate) async fn reopened(&self, embeds: bool) -> Memory {
        let embedder = embeds.then(|| self.embedder.clone() as Arc<dyn Embedder>);
        let (limits, weights) = (Limits::default(), RankingWeights::default());
        Memory::open(self.engine.clone(), embedder, self.clock.clone(), limits, weights).await.unwrap()
    }

    /// Stores messages of session "s", one a minute, each written by the name before the colon.
    pub(crate) async fn tell(&self, lines: &[&str]) -> Vec<EpisodeId> {
        let episodes = lines.iter().map(|line| {
            let (producer, content) = line.split_once(": ").unwrap();
            self.clock.advance_minutes(1);
            NewEpisode { created_at: Some(self.clock.now()), ..message(producer, content) }
        });
        let episodes = episodes.collect();
        store(&self.memory, request(episodes)).await.unwrap().ids
    }
}

/// Stores what breaks no rule.
pub(crate) async fn store(memory: &Memory, request: StoreRequest) -> Result<Stored, Error> {
    memory.store(request.checked(memory.limits())?).await
}

pub(crate) fn space() -> Space {
    Space::new("universal", "g")
}

/// A message of session "s".
pub(crate) fn message(producer: &str, content: &str) -> NewEpisode {
    NewEpisode {
        session: "s".into(),
        content: content.into(),
        producer: producer.into(),
        produced_for: String::new(),
        role: String::new(),
        kind: "message".into(),
        metadata: serde_json::Map::new(),
        created_at: None,
        purpose: Purpose::Recall,
    }
}

/// A request for messages of session "s", in which Ann and Bob are users and Bot is an agent.
pub(crate) fn request(episodes: Vec<NewEpisode>) -> StoreRequest {
    let members = vec![Member::User("Ann".into()), Member::User("Bob".into()), Member::Agent("Bot".into())];
    StoreRequest {
        space: space(),
        members: vec![SessionMembers { session: "s".into(), members }],
        episodes,
        idempotency_key: None,
    }
}

pub(crate) fn unchecked(text: &str, limit: i64) -> SearchQuery {
    SearchQuery { space: space(), text: text.into(), filter: Filter::default(), limit }
}

pub(crate) fn query(text: &str, limit: i64) -> Checked<SearchQuery> {
    unchecked(text, limit).checked(&Limits::default()).unwrap()
}

/// The contents of hits, best first.
pub(crate) fn contents(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.episode.content.as_str()).collect()
}
