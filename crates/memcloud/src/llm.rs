//! The language model of an instance, and an endpoint that embeds for it, as its settings name them.
//!
//! `OPENAI_API_KEY` or `OPENAI_BASE_URL` set: there is a language model, which chats and learns. Neither: everything
//! else works, and chats say so.

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Error, with_causes};
use memcloud_llm::{ChatModel, Endpoint, RemoteEmbedder, Timeouts};
use memcloud_memory::{ChatOptions, LearnerOptions};
use memcloud_ports::{Budget, Embedder, LanguageModel, Trigger};

use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{
    CALLS_PER_DAY, CALLS_PER_MINUTE, CHAT_MODEL, CONTEXT_TOKENS, EMBEDDING_DIMENSIONS, EMBEDDING_KEY,
    EMBEDDING_MODEL, EMBEDDING_URL, MODEL_TIMEOUT, OPENAI_API_KEY, OPENAI_BASE_URL, PROFILE,
    PROFILE_MESSAGES, PROFILE_MODEL, PROFILE_SECONDS, Setting, Sources, TOKENS_PER_DAY, TOKENS_PER_MINUTE,
};

/// OpenAI's own endpoint, and the model there when none is named.
const OPENAI: &str = "https://api.openai.com/v1";
const OPENAI_MODEL: &str = "gpt-5-mini";
/// The most tokens of memories in one request, and the most messages that are waited for.
const MOST_CONTEXT: usize = 1_000_000;
const MOST_MESSAGES: usize = 1_000_000;
/// The longest that an endpoint that embeds may be silent.
const EMBEDS_WITHIN: Duration = Duration::from_secs(15);

/// The language model of an instance.
#[derive(Clone, Debug)]
pub(crate) struct LanguageSettings {
    endpoint: Endpoint,
    /// The model that chats.
    pub(crate) model: String,
    /// What chats do with what they recall.
    pub(crate) chat: ChatOptions,
    /// How facts are facts; `None` when they are not.
    pub(crate) profile: Option<ProfileSettings>,
    /// What it may be used for.
    pub(crate) budget: Budget,
}

/// How facts are learned.
#[derive(Clone, Debug)]
pub(crate) struct ProfileSettings {
    /// The model that learns, if it is another one.
    pub(crate) model: Option<String>,
    /// When.
    pub(crate) learner: LearnerOptions,
}

impl LanguageSettings {
    /// What the settings name; `None` when they name no model.
    pub(crate) fn resolve(sources: &Sources) -> Result<Option<Self>, Failure> {
        let named = sources.text(&OPENAI_BASE_URL, None);
        let key = sources.secret(&OPENAI_API_KEY, None)?;
        if named.is_none() && key.is_none() {
            return Ok(None);
        }
        let address = named.unwrap_or_else(|| OPENAI.into());
        let endpoint = endpoint(&OPENAI_BASE_URL, &address, key, timeouts(sources)?)?;
        let model = match sources.text(&CHAT_MODEL, None) {
            Some(model) => model.trim().to_owned(),
            None if is_openai(&endpoint) => OPENAI_MODEL.into(),
            // Azure's deployments have their model in the address, and heed no other.
            None if address.contains("/deployments/") => "deployment".into(),
            None => {
                return Err(Failure::usage(
                    format!("{} is set, but {} is not", OPENAI_BASE_URL.name, CHAT_MODEL.name),
                    format!("name a model of {} with {}", endpoint.address(), CHAT_MODEL.name),
                ));
            }
        };
        let context_tokens = sources.parsed(&CONTEXT_TOKENS, None)?;
        if context_tokens.is_some_and(|tokens| tokens > MOST_CONTEXT) {
            let told = format!("{} is more than {MOST_CONTEXT}", CONTEXT_TOKENS.name);
            return Err(Failure::usage(told, "lower it: no model reads so much of a memory"));
        }
        let chat =
            ChatOptions { context_tokens: context_tokens.unwrap_or(ChatOptions::default().context_tokens) };
        let profile = ProfileSettings::resolve(sources)?;
        Ok(Some(Self { endpoint, model, chat, profile, budget: budget(sources)? }))
    }

    /// The model.
    pub(crate) fn open(&self) -> Arc<dyn LanguageModel> {
        Arc::new(ChatModel::new(self.endpoint.clone(), self.model.clone()))
    }

    /// Warns of what works and is not wise.
    pub(crate) fn warn(&self, output: Output) {
        if self.endpoint.exposes_key() {
            let told =
                format!("the key of the language model goes readable over the network to {}", self.address());
            output.warn(&told, "use https, or leave the key out if the endpoint needs none");
        }
    }

    /// The address of its endpoint.
    pub(crate) fn address(&self) -> String {
        self.endpoint.address()
    }

    /// What it is, in words.
    pub(crate) fn told(&self) -> String {
        let learns = match &self.profile {
            Some(ProfileSettings { model: Some(model), .. }) => format!("; facts are learned with {model}"),
            Some(_) => "; it also learns facts".into(),
            None => String::new(),
        };
        format!("{} at {}{learns}", self.model, self.address())
    }
}

impl ProfileSettings {
    fn resolve(sources: &Sources) -> Result<Option<Self>, Failure> {
        if sources.text(&PROFILE, None).is_some() && !sources.switch(&PROFILE, false)? {
            return Ok(None);
        }
        let usual = LearnerOptions::default().trigger;
        let messages = sources.parsed::<std::num::NonZeroUsize>(&PROFILE_MESSAGES, None)?;
        let age = sources.parsed(&PROFILE_SECONDS, None)?.map(Duration::from_secs);
        let trigger = Trigger {
            messages: messages.map_or(usual.messages, |most| most.get().min(MOST_MESSAGES)),
            age: age.unwrap_or(usual.age),
        };
        Ok(Some(Self {
            model: sources.text(&PROFILE_MODEL, None),
            learner: LearnerOptions { trigger, ..LearnerOptions::default() },
        }))
    }
}

/// An endpoint that embeds.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddingSettings {
    endpoint: Endpoint,
    model: String,
    dimensions: Option<usize>,
}

impl EmbeddingSettings {
    /// What the settings name; `None` when the local model embeds.
    pub(crate) fn resolve(sources: &Sources) -> Result<Option<Self>, Failure> {
        let Some(model) = sources.text(&EMBEDDING_MODEL, None) else {
            return match sources.text(&EMBEDDING_URL, None) {
                None => Ok(None),
                Some(_) => Err(Failure::usage(
                    format!("{} is set, but {} is not", EMBEDDING_URL.name, EMBEDDING_MODEL.name),
                    format!("name the model that embeds with {}", EMBEDDING_MODEL.name),
                )),
            };
        };
        let named = sources.text(&EMBEDDING_URL, None);
        let key = match sources.secret(&EMBEDDING_KEY, None)? {
            Some(key) => Some(key),
            // The key of one endpoint is not shown to another.
            None if named.is_none() => sources.secret(&OPENAI_API_KEY, None)?,
            None => None,
        };
        let setting = if named.is_some() { &EMBEDDING_URL } else { &OPENAI_BASE_URL };
        let address = named.or_else(|| sources.text(&OPENAI_BASE_URL, None)).unwrap_or_else(|| OPENAI.into());
        // Somebody waits for a search; a model that chats may think longer.
        let timeouts = timeouts(sources)?;
        let timeouts = Timeouts { silence: timeouts.silence.min(EMBEDS_WITHIN), ..timeouts };
        let endpoint = endpoint(setting, &address, key, timeouts)?;
        let dimensions = sources.parsed::<std::num::NonZeroUsize>(&EMBEDDING_DIMENSIONS, None)?;
        Ok(Some(Self { endpoint, model: model.trim().to_owned(), dimensions: dimensions.map(Into::into) }))
    }

    /// The embedder, after it has embedded one text; or, while the endpoint cannot be reached and the length of its vectors
    /// is known, without.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Embedder>, Failure> {
        let connected = RemoteEmbedder::connect(self.endpoint.clone(), &self.model, self.dimensions).await;
        match (connected, self.dimensions) {
            (Ok(embedder), _) => Ok(Arc::new(embedder)),
            (Err(error @ Error::EmbeddingUnavailable(_)), Some(dimensions)) => {
                tracing::warn!(error = %with_causes(&error), "the endpoint that embeds cannot be reached at present");
                Ok(Arc::new(RemoteEmbedder::assume(self.endpoint.clone(), &self.model, dimensions)))
            }
            (Err(error), _) => Err(Failure::new(
                format!(
                    "{} at {} does not embed: {}",
                    self.model,
                    self.endpoint.address(),
                    with_causes(&error)
                ),
                format!("see {}, {} and {}", EMBEDDING_MODEL.name, EMBEDDING_URL.name, EMBEDDING_KEY.name),
            )),
        }
    }

    /// The address of its endpoint.
    pub(crate) fn address(&self) -> String {
        self.endpoint.address()
    }
}

fn is_openai(endpoint: &Endpoint) -> bool {
    endpoint.address().starts_with("https://api.openai.com/")
}

fn endpoint(
    setting: &Setting,
    address: &str,
    key: Option<secrecy::SecretString>,
    timeouts: Timeouts,
) -> Result<Endpoint, Failure> {
    Endpoint::new(address.trim(), key, timeouts)
        .map_err(|bad| Failure::usage(format!("{}: {}", setting.name, bad.what), bad.mend))
}

fn timeouts(sources: &Sources) -> Result<Timeouts, Failure> {
    let usual = Timeouts::default();
    let silence = sources.parsed::<std::num::NonZeroU64>(&MODEL_TIMEOUT, None)?;
    Ok(Timeouts {
        silence: silence.map_or(usual.silence, |seconds| Duration::from_secs(seconds.get())),
        ..usual
    })
}

fn budget(sources: &Sources) -> Result<Budget, Failure> {
    Ok(Budget {
        calls_per_minute: sources.parsed(&CALLS_PER_MINUTE, None)?,
        calls_per_day: sources.parsed(&CALLS_PER_DAY, None)?,
        tokens_per_minute: sources.parsed(&TOKENS_PER_MINUTE, None)?,
        tokens_per_day: sources.parsed(&TOKENS_PER_DAY, None)?,
    })
}
