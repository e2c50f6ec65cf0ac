//! A language model that answers what a test has written down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use memcloud_memory::ModelGateway;
use memcloud_ports::{
    Budget, Call, Completion, Delta, EndpointRefusal, LanguageModel, ModelAnswer, ModelError, RefusalKind,
};
use serde_json::{Value, json};

use crate::world::World;

/// What the model does with one call.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with this text at once.
    Text(String),
    /// Streams these pieces of a text.
    Stream(Vec<&'static str>),
    /// Streams these pieces, then loses the connection.
    Broken(Vec<&'static str>),
    /// Refuses the call.
    Refuse(RefusalKind),
    /// Never answers.
    Hang,
}

impl Reply {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// A language model with a script. Without a line for a call, it fails.
#[derive(Default)]
pub(crate) struct ScriptedModel {
    script: Mutex<VecDeque<Reply>>,
    calls: Mutex<Vec<Call>>,
}

impl ScriptedModel {
    pub(crate) fn new(script: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script.into_iter().collect()), calls: Mutex::default() })
    }

    pub(crate) fn gateway(self: &Arc<Self>, world: &World, budget: Budget) -> Arc<ModelGateway> {
        let (model, ledger) = (Arc::clone(self) as Arc<dyn LanguageModel>, Arc::clone(&world.engine.usage));
        Arc::new(ModelGateway::new(model, ledger, world.clock.clone(), budget))
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The bodies of all calls.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.calls().into_iter().map(|call| Value::Object(call.body)).collect()
    }
}

#[async_trait]
impl LanguageModel for ScriptedModel {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn send(&self, call: &Call) -> Result<ModelAnswer, ModelError> {
        self.calls.lock().unwrap().push(call.clone());
        let reply =
            self.script.lock().unwrap().pop_front().unwrap_or(Reply::Refuse(RefusalKind::ServerFailed));
        let delta =
            |text: &str| Ok(Delta { text: text.into(), raw: text.to_owned().into(), ..Delta::default() });
        match reply {
            Reply::Text(text) => {
                let raw = text.clone().into();
                Ok(ModelAnswer::Whole(Completion { raw, text, calls_tools: false, tokens: None }))
            }
            Reply::Stream(texts) => Ok(ModelAnswer::Stream(Box::pin(stream::iter(
                texts.into_iter().map(delta).collect::<Vec<_>>(),
            )))),
            Reply::Broken(texts) => {
                let cut = Err(ModelError::Cut("the connection closed".into()));
                let deltas: Vec<_> = texts.into_iter().map(delta).chain([cut]).collect();
                Ok(ModelAnswer::Stream(Box::pin(stream::iter(deltas))))
            }
            Reply::Refuse(kind) => Err(ModelError::Refused(EndpointRefusal {
                kind,
                status: 400,
                content_type: None,
                body: "no".into(),
                retry_after: None,
            })),
            Reply::Hang => {
                tokio::time::sleep(Duration::from_hours(24)).await;
                Err(ModelError::Silent(Duration::from_hours(24)))
            }
        }
    }

    async fn models(&self) -> Result<Value, ModelError> {
        Ok(json!({"object": "list", "data": [{"id": "scripted"}]}))
    }
}
