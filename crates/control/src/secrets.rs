use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::instances::Settings;
use crate::{ControlStore, Error, InstanceId, Seal, SealError, Sealed};

/// The sealed settings of instances.
#[derive(Clone)]
pub struct Secrets {
    store: Arc<dyn ControlStore>,
    seal: Arc<Seal>,
}

impl Secrets {
    /// The settings that this store keeps, sealed with these keys.
    pub fn new(store: Arc<dyn ControlStore>, seal: Seal) -> Self {
        Self { store, seal: Arc::new(seal) }
    }

    /// Seals the settings of an instance. No other instance can use them.
    pub fn seal(&self, instance: &InstanceId, settings: &Settings) -> Result<Sealed, Error> {
        let text = serde_json::to_vec(settings).map_err(|source| Error::Store {
            doing: "sealing the settings of an instance",
            source: source.into(),
        })?;
        Ok(self.seal.seal(instance.as_str(), &text)?)
    }

    /// The settings of an instance.
    pub async fn settings(&self, instance: &InstanceId) -> Result<Settings, Error> {
        let sealed = self.store.sealed_settings(instance).await?;
        let opened = self.seal.open(instance.as_str(), &sealed)?;
        Ok(serde_json::from_slice(opened.expose_secret()).map_err(|_| SealError::Changed)?)
    }

    /// Seals again what another key than the current one has sealed. Returns how many settings that were.
    pub async fn reseal(&self) -> Result<usize, Error> {
        let mut resealed = 0;
        for (instance, key) in self.store.sealing_keys().await? {
            if key != self.seal.current() {
                let settings = self.settings(&instance).await?;
                self.store.replace_settings(&instance, &self.seal(&instance, &settings)?, None).await?;
                resealed += 1;
            }
        }
        Ok(resealed)
    }
}
