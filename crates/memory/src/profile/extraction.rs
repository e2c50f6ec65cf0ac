//! Calls of the language model that extract facts from messages, and merge facts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use memcloud_domain::{Category, Clock, Episode, Error, FactTarget};
use memcloud_ports::{
    ClaimedBatch, Completion, EmbeddedFact, FactSets, FactStore, FactsOf, ModelAnswer, ModelError,
    RefusalKind, Revision, RevisionSet,
};
use memcloud_tasks::INLINE_BYTES;

use crate::compute::compute;
use crate::embedding::Embedding;
use crate::llm_gate::{AnswerFormat, ModelGateway, ModelRequest, Retry, TokenEstimate};
use crate::memory::Memory;
use crate::profile::commands::{new_facts, read, read_merges};
use crate::profile::prompt;
use crate::search::facts;
use crate::text::token_count;

/// How many facts the model is shown; of more, those that are most similar to the messages.
const SHOWN_FACTS: usize = 60;
/// The estimated length of an answer, in tokens.
const ANSWER_TOKENS: usize = 500;
/// How much of the messages selects the facts that are shown, in tokens.
const SELECTING_TOKENS: usize = 2_000;

pub(super) struct Extraction {
    facts: Arc<dyn FactStore>,
    embedding: Arc<Embedding>,
    clock: Arc<dyn Clock>,
    gateway: Arc<ModelGateway>,
    /// The model that learns; `None` for the default model.
    model: Option<String>,
    /// The strictest [`AnswerFormat`] that the endpoint has not refused.
    format: AtomicU8,
}

impl Extraction {
    pub(super) fn new(memory: &Memory, gateway: Arc<ModelGateway>, model: Option<String>) -> Self {
        Self {
            facts: Arc::clone(&memory.engine.facts),
            embedding: Arc::clone(&memory.embedding),
            clock: Arc::clone(&memory.clock),
            gateway,
            model,
            format: AtomicU8::new(AnswerFormat::Schema as u8),
        }
    }

    /// The facts that were known, and the revisions that follow from the messages.
    pub(super) async fn extract(
        &self,
        batch: &ClaimedBatch,
        category: &Category,
        episodes: &Arc<[Episode]>,
    ) -> Result<(Vec<EmbeddedFact>, Vec<Revision>), ModelError> {
        // Without a working embedder, the facts of an answer that is paid for could not be stored.
        self.embedding.probe().await?;
        let known = self.known(&batch.target).await?;
        let shown: Arc<[EmbeddedFact]> = self.shown(known.clone(), episodes).await?.into();
        let (set, of) = (batch.target.set.clone(), category.clone());
        let (known_facts, messages) = (Arc::clone(&shown), Arc::clone(episodes));
        let bytes: usize = episodes.iter().map(|episode| episode.content.len()).sum();
        let request = compute(bytes > INLINE_BYTES, "building a prompt", move || {
            prompt::learn(&set, &of, &known_facts, &messages)
        });
        let request = request.await?;
        let answer = self.call(request, Some(batch.call.to_string())).await?;
        let read = read(&answer.text, &shown, episodes, &category.tags);
        let mut revisions = read.map_err(|what| ModelError::Unusable { what })?;
        self.embed(&mut revisions).await?;
        Ok((known, revisions))
    }

    /// The revisions that merge the facts of a tag.
    pub(super) async fn merge(
        &self,
        target: &FactTarget,
        category: &Category,
        tag: &str,
    ) -> Result<RevisionSet, ModelError> {
        let mut facts = self.known(target).await?;
        facts.retain(|fact| fact.fact.tag == tag);
        let answer = self.call(prompt::merge(tag, &facts), None).await?;
        let mut revisions =
            read_merges(&answer.text, &facts).map_err(|what| ModelError::Unusable { what })?;
        self.embed(&mut revisions).await?;
        Ok(self.revision_set(target, category.prompt_version(), revisions))
    }

    pub(super) fn revision_set(
        &self,
        target: &FactTarget,
        prompt: String,
        revisions: Vec<Revision>,
    ) -> RevisionSet {
        let (target, at, model) = (target.clone(), self.clock.now(), self.model().to_owned());
        RevisionSet { target, revisions, at, prompt, model }
    }

    async fn known(&self, target: &FactTarget) -> Result<Vec<EmbeddedFact>, Error> {
        let sets = FactSets::These(vec![target.set.clone()]);
        let of = FactsOf { sets, category: Some(target.category.clone()), as_of: None };
        self.facts.facts(&of).await
    }

    /// The facts that the model is shown, in the order in which they were learned.
    async fn shown(
        &self,
        mut facts: Vec<EmbeddedFact>,
        episodes: &[Episode],
    ) -> Result<Vec<EmbeddedFact>, Error> {
        if facts.len() <= SHOWN_FACTS {
            return Ok(facts);
        }
        let messages: Vec<&str> = episodes.iter().map(|episode| episode.content.as_str()).collect();
        let messages = messages.join("\n");
        let messages = token_count::cut(&messages, SELECTING_TOKENS);
        let query = facts::query(&self.embedding, messages).await?;
        let best = facts::rank(facts.clone(), query, SHOWN_FACTS).await?;
        facts.retain(|fact| best.iter().any(|hit| hit.fact.id == fact.fact.id));
        Ok(facts)
    }

    /// Makes a call whose answer is one JSON object. Asks for that as strictly as the endpoint can: a format that it refuses
    /// is not asked for again.
    async fn call(
        &self,
        mut request: ModelRequest,
        idempotency_key: Option<String>,
    ) -> Result<Completion, ModelError> {
        request.default_model(self.model());
        let estimate = TokenEstimate { prompt: request.estimated_tokens(), completion: ANSWER_TOKENS };
        loop {
            let format = AnswerFormat::of(self.format.load(Ordering::Relaxed));
            request.set_format(format);
            // Another format is another request, which needs a key of its own.
            let key = idempotency_key.as_ref().map(|key| match format {
                AnswerFormat::Schema => key.clone(),
                AnswerFormat::Object => format!("{key}-Object"),
                AnswerFormat::Prompt => format!("{key}-Words"),
            });
            let permit = self.gateway.admit(estimate).await?;
            match permit.send(&request.clone().into_call(key), Retry::PATIENTLY).await {
                Ok(ModelAnswer::Whole(completion)) => return Ok(completion),
                Ok(ModelAnswer::Stream(_)) => {
                    return Err(ModelError::Unusable { what: "with a stream that was not asked for".into() });
                }
                Err(ModelError::Refused(refusal)) if refusal.kind == RefusalKind::AnswerFormatUnsupported => {
                    let reason = refusal.message();
                    tracing::info!(?format, reason, "the model endpoint refused this answer format");
                    self.format.fetch_max(format as u8 + 1, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Embeds the new facts of revisions.
    async fn embed(&self, revisions: &mut [Revision]) -> Result<(), Error> {
        let mut new = new_facts(revisions);
        let texts = new.iter().map(|new| facts::line(&new.tag, &new.name, &new.value)).collect();
        let vectors = self.embedding.documents(texts).await?;
        for (new, vector) in new.iter_mut().zip(vectors.into_iter().flatten()) {
            new.vector = Some(vector);
        }
        Ok(())
    }

    fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(self.gateway.name())
    }
}
