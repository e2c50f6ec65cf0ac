//! Language models behind endpoints.

use async_trait::async_trait;
use memcloud_ports::{Call, Completion, LanguageModel, ModelAnswer, ModelError, RefusalKind};
use serde_json::{Value, json};

use crate::completion::{self, Content};
use crate::deltas;
use crate::endpoint::Endpoint;
use crate::refusal::Requested;
use crate::response::Reading;

/// A [`LanguageModel`] behind an endpoint.
#[derive(Clone, Debug)]
pub struct ChatModel {
    endpoint: Endpoint,
    name: String,
}

impl ChatModel {
    /// The model of this name. Sends nothing to the endpoint.
    pub fn new(endpoint: Endpoint, name: impl Into<String>) -> Self {
        Self { endpoint, name: name.into() }
    }

    /// Its endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

#[async_trait]
impl LanguageModel for ChatModel {
    fn name(&self) -> &str {
        &self.name
    }

    /// The answer itself decides whether it is a stream: not every endpoint honors `stream`.
    async fn send(&self, call: &Call) -> Result<ModelAnswer, ModelError> {
        let key = call.idempotency_key.as_deref();
        let requested = Requested {
            answer_format: call.body.contains_key("response_format"),
            stream_options: call.body.contains_key("stream_options"),
            ..Requested::default()
        };
        let reading = self.endpoint.post(&["chat", "completions"], &call.body, key, requested).await?;
        if reading.is_stream() {
            return Ok(ModelAnswer::Stream(deltas::of(reading)));
        }
        Ok(ModelAnswer::Whole(completion(reading).await?))
    }

    /// An endpoint that cannot list models, such as a deployment of Azure, has this one.
    async fn models(&self) -> Result<Value, ModelError> {
        match self.endpoint.get(&["models"]).await {
            Ok(reading) => listed(reading).await,
            Err(ModelError::Refused(refusal)) if cannot_list(refusal.kind) => {
                Ok(list(&[json!({"id": self.name, "object": "model"})]))
            }
            Err(error) => Err(error),
        }
    }
}

fn cannot_list(kind: RefusalKind) -> bool {
    matches!(kind, RefusalKind::ModelUnknown | RefusalKind::OperationUnsupported)
}

fn list(models: &[Value]) -> Value {
    json!({"object": "list", "data": models})
}

async fn completion(mut reading: Reading) -> Result<Completion, ModelError> {
    let kind = reading.content_type();
    let raw = reading.whole().await?;
    let content = Content::whole(&completion::object(&reading.refusals, kind, &raw)?)?;
    Ok(Completion { raw, text: content.text, calls_tools: content.calls_tools, tokens: content.tokens })
}

/// The models that an endpoint lists. For none, some send null; some send the list without the object around it.
async fn listed(mut reading: Reading) -> Result<Value, ModelError> {
    let kind = reading.content_type();
    let raw = reading.whole().await?;
    if let Ok(Value::Array(models)) = serde_json::from_slice(&raw) {
        return Ok(list(&models));
    }
    let mut listed = completion::object(&reading.refusals, kind, &raw)?;
    match listed.get("data") {
        Some(Value::Array(_)) => {
            listed.entry("object").or_insert_with(|| "list".into());
            Ok(listed.into())
        }
        Some(Value::Null) => Ok(list(&[])),
        _ => Err(ModelError::Unusable { what: "something that is not a list of models".into() }),
    }
}
