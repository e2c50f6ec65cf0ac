use std::sync::Arc;

use memcloud_llm::ChatModel;
use memcloud_ports::LanguageModel;

use crate::config::{Llm, Profile};

impl Llm {
    /// Opens the model. Sends nothing yet.
    pub fn open(&self) -> Arc<dyn LanguageModel> {
        Arc::new(ChatModel::new(self.endpoint.clone(), self.model.clone()))
    }

    /// The model, its endpoint and what it is used for, in one line.
    pub fn summary(&self) -> String {
        let learns = match &self.options.profile {
            Some(Profile { model: Some(model), .. }) => format!("; facts are learned with {model}"),
            Some(_) => "; it also learns facts".into(),
            None => String::new(),
        };
        format!("{} at {}{learns}", self.model, self.endpoint.address())
    }
}
