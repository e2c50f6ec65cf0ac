//! A language model behind an endpoint.

use async_trait::async_trait;
use memcloud_ports::{Answer, Call, Completion, LanguageModel, ModelError};
use serde_json::{Value, json};

use crate::completion::{self, Said};
use crate::deltas;
use crate::endpoint::Endpoint;
use crate::error::EndpointError;
use crate::response::Reading;

/// A [`LanguageModel`] behind an endpoint.
#[derive(Clone, Debug)]
pub struct ChatModel {
    endpoint: Endpoint,
    name: String,
}

impl ChatModel {
    /// The model of this name. It is not asked whether it is there.
    pub fn new(endpoint: Endpoint, name: impl Into<String>) -> Self {
        Self { endpoint, name: name.into() }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn completion(&self, reading: Reading) -> Result<Completion, EndpointError> {
        let kind = reading.content_type();
        let raw = reading.whole().await?;
        let said = Said::whole(&completion::object(&self.endpoint, kind, &raw)?)?;
        Ok(Completion { raw, text: said.text, calls_tools: said.calls_tools, tokens: said.tokens })
    }

    /// What the endpoint lists. Some list nothing as null, some leave out the object around the list.
    async fn listed(&self, reading: Reading) -> Result<Value, EndpointError> {
        let kind = reading.content_type();
        let raw = reading.whole().await?;
        if let Ok(Value::Array(models)) = serde_json::from_slice(&raw) {
            return Ok(list(&models));
        }
        let mut listed = completion::object(&self.endpoint, kind, &raw)?;
        match listed.get("data") {
            Some(Value::Array(_)) => {
                listed.entry("object").or_insert_with(|| "list".into());
                Ok(listed.into())
            }
            Some(Value::Null) => Ok(list(&[])),
            _ => Err(EndpointError::Unusable("something that is no list of models".into())),
        }
    }
}

#[async_trait]
impl LanguageModel for ChatModel {
    fn name(&self) -> &str {
        &self.name
    }

    /// What comes back decides whether the answer is a stream, whatever was asked for: not every endpoint heeds
    /// `stream`.
    async fn send(&self, call: &Call) -> Result<Answer, ModelError> {
        let key = call.idempotency_key.as_deref();
        let reading = self.endpoint.post(&["chat", "completions"], &call.body, key).await?;
        if reading.is_stream() {
            return Ok(Answer::Stream(deltas::of(self.endpoint.clone(), reading)));
        }
        Ok(Answer::Whole(self.completion(reading).await?))
    }

    /// An endpoint that lists no models, as a deployment of Azure, has this one.
    async fn models(&self) -> Result<Value, ModelError> {
        match self.endpoint.get(&["models"]).await {
            Ok(reading) => Ok(self.listed(reading).await?),
            Err(EndpointError::Refused(refusal)) if matches!(refusal.status, 404 | 405 | 501) => {
                Ok(list(&[json!({"id": self.name, "object": "model"})]))
            }
            Err(trouble) => Err(trouble.into()),
        }
    }
}

fn list(models: &[Value]) -> Value {
    json!({"object": "list", "data": models})
}
