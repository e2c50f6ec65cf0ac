use async_trait::async_trait;

use memcloud_domain::with_causes;

use crate::instances::{Reason, Settings};
use crate::{InstanceId, Secrets};

/// Gives the settings of an instance, with their secrets.
#[async_trait]
pub trait SettingsSource: Send + Sync {
    /// The settings of this instance.
    async fn settings(&self, instance: &InstanceId) -> Result<Settings, Reason>;
}

/// Tries the connections of an instance before anything is made for it.
#[async_trait]
pub trait ConnectionCheck: Send + Sync {
    /// Connects to each database and asks the language model, in about ten seconds at most, and changes nothing there.
    /// Returns what was found, a line for each, without a secret.
    async fn check(&self, settings: &Settings) -> Result<Vec<String>, Reason>;
}

#[async_trait]
impl SettingsSource for Secrets {
    async fn settings(&self, instance: &InstanceId) -> Result<Settings, Reason> {
        // That of the type itself.
        Secrets::settings(self, instance).await.map_err(|error| {
            Reason::new(with_causes(&error), "check the sealing key and the disk of the console, then retry")
        })
    }
}
