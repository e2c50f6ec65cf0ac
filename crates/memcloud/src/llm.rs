//! The language model of an instance, and an endpoint that embeds for it.

use std::sync::Arc;

use memcloud_domain::{Error, with_causes};
use memcloud_llm::{ChatModel, Endpoint, RemoteEmbedder};
use memcloud_memory::{ChatOptions, LearnerOptions};
use memcloud_ports::{Budget, Embedder, LanguageModel};

use crate::failure::Failure;
use crate::settings::{EMBEDDING_KEY, EMBEDDING_MODEL, EMBEDDING_URL};

/// A language model.
#[derive(Clone, Debug)]
pub(crate) struct Llm {
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// The model that chats.
    pub(crate) model: String,
    /// How chats use what they recall.
    pub(crate) chat: ChatOptions,
    /// How facts are learned; `None` when they are not.
    pub(crate) profile: Option<Profile>,
    /// How much it may be used.
    pub(crate) budget: Budget,
}

/// How facts are learned.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// The model that learns, if it is another one.
    pub(crate) model: Option<String>,
    /// When.
    pub(crate) learner: LearnerOptions,
}

impl Llm {
    /// Opens the model. Sends nothing yet.
    pub(crate) fn open(&self) -> Arc<dyn LanguageModel> {
        Arc::new(ChatModel::new(self.endpoint.clone(), self.model.clone()))
    }

    /// The model, its endpoint and what it is used for, in one line.
    pub(crate) fn summary(&self) -> String {
        let learns = match &self.profile {
            Some(Profile { model: Some(model), .. }) => format!("; facts are learned with {model}"),
            Some(_) => "; it also learns facts".into(),
            None => String::new(),
        };
        format!("{} at {}{learns}", self.model, self.endpoint.address())
    }
}

/// An endpoint that embeds.
#[derive(Clone, Debug)]
pub(crate) struct RemoteEmbedding {
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// The model.
    pub(crate) model: String,
    /// The length of its vectors, if the settings name it.
    pub(crate) dimensions: Option<usize>,
}

impl RemoteEmbedding {
    /// Connects and embeds one text. If the endpoint is down but the settings name the length of its vectors, starts
    /// without embedding one.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Embedder>, Failure> {
        let connected = RemoteEmbedder::connect(self.endpoint.clone(), &self.model, self.dimensions).await;
        match (connected, self.dimensions) {
            (Ok(embedder), _) => Ok(Arc::new(embedder)),
            (Err(error @ Error::EmbeddingUnavailable(_)), Some(dimensions)) => {
                tracing::warn!(error = %with_causes(&error), "cannot reach the embedding endpoint; it is asked again at the next request");
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
}
