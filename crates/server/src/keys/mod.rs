//! The keys that open an instance: those that its settings name, and those that it made.
//!
//! A made key has rights, spaces and an end; engines keep its hash. Servers read all made keys at once and keep them for
//! [`CACHED`]: a key that another server revokes is refused after that time at the latest, and one that this server
//! revokes at once. While the engine cannot be read, the keys that were read last still count: whatever they open is in
//! the same engine.

mod refusals;
mod settings;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{ApiKey, Caller, Error, KeyId, KeyState, Rights, Space, Timestamp, with_causes};
use memcloud_memory::Memory;
use memcloud_ports::{AdminRule, KeyStore, Keys, Revocation};
use secrecy::SecretString;
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio::sync::Mutex;

use refusals::Refusals;
pub use settings::{ApiKeys, BadKey, MIN_KEY_CHARACTERS};

/// How long the made keys that were read are used before they are read again.
const CACHED: Duration = Duration::from_secs(3);
/// The least time between two notes of a key's use.
const USE_NOTED_EVERY: Duration = Duration::from_mins(5);
/// How long keys are listed after they were revoked or expired.
const ENDED_KEPT: Duration = Duration::from_hours(90 * 24);

/// An instance that anyone on the network could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "listening on {address} without an API key would give the memory to the whole network; \
     set MEMCLOUD_API_KEYS, or listen on 127.0.0.1"
)]
pub struct Exposed {
    /// The address that was to be listened on.
    pub address: IpAddr,
}

/// Refuses to let an instance without keys be reached from other machines.
pub fn require_key_beyond_loopback(address: IpAddr, keys: &ApiKeys) -> Result<(), Exposed> {
    if keys.is_empty() && !address.to_canonical().is_loopback() { Err(Exposed { address }) } else { Ok(()) }
}

/// Whether an engine has a live key that can manage keys. An engine that cannot be read may have one: until its keys are
/// known, the server refuses every request.
pub async fn may_have_admin_key(store: &dyn KeyStore, now: Timestamp) -> bool {
    let is_live_admin = |key: &ApiKey| key.state(now) == KeyState::Live && key.manages_keys();
    store.keys().await.map_or(true, |keys| keys.has_unreadable || keys.readable.iter().any(is_live_admin))
}

/// All keys of an instance.
pub(crate) struct Keyring {
    settings: ApiKeys,
    memory: Arc<Memory>,
    made: Mutex<Made>,
    refusals: Refusals,
}

/// The keys that the instance made, as they were read last.
#[derive(Default)]
struct Made {
    keys: Keys,
    /// When they were read or could not be read; `None` before the first time, and when they have changed since.
    tried_at: Option<Timestamp>,
    known: bool,
}

/// Why a request has no caller.
#[derive(Debug)]
pub(crate) enum Stranger {
    /// It has no key.
    Missing,
    /// It has a key that the instance does not know.
    Unknown,
    /// Its key was revoked.
    Revoked,
    /// Its key has expired.
    Expired,
    /// The instance has no keys, so only programs on its own machine are served.
    Keyless,
    /// The keys cannot be read.
    Unreadable(Error),
}

/// What a key is made of.
pub(crate) struct NewKey {
    pub(crate) name: String,
    pub(crate) rights: Rights,
    pub(crate) spaces: Option<Vec<Space>>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Keyring {
    pub(crate) fn new(settings: ApiKeys, memory: Arc<Memory>) -> Self {
        Self { settings, memory, made: Mutex::default(), refusals: Refusals::default() }
    }

    /// The caller that this bearer token makes.
    pub(crate) async fn caller(&self, bearer: Option<&str>) -> Result<Caller, Stranger> {
        if let Some(caller) = bearer.and_then(|key| self.settings.caller(key)) {
            return Ok(caller);
        }
        let unknown = if bearer.is_some() { Stranger::Unknown } else { Stranger::Missing };
        match bearer.filter(|key| token::is_made(key)) {
            Some(key) => self.holder(key).await,
            None if !self.settings.is_empty() => Err(unknown),
            None => {
                let now = self.now();
                let made = self.made(now).await.map_err(Stranger::Unreadable)?;
                Err(match made.keys {
                    _ if made.keys.any_live(now) => unknown,
                    Keys { has_unreadable: true, .. } => {
                        let what = "API keys cannot be read, so no caller goes without one".into();
                        Stranger::Unreadable(Error::StorageDamaged { what })
                    }
                    _ => Stranger::Keyless,
                })
            }
        }
    }

    /// Notes in the log that a key was refused.
    pub(crate) fn note_refusal(&self, stranger: &Stranger, address: Option<IpAddr>) {
        self.refusals.note(stranger, address);
    }

    /// Logs the refusals that are not logged yet.
    pub(crate) fn log_refusals(&self) {
        self.refusals.log_rest();
    }

    /// The holder of a made key.
    async fn holder(&self, key: &str) -> Result<Caller, Stranger> {
        let (id, hash, now) = (token::id(key).ok_or(Stranger::Unknown)?, token::hash(key), self.now());
        let mut made = self.made(now).await.map_err(Stranger::Unreadable)?;
        let known = made.keys.readable.iter_mut().find(|known| known.id == id);
        let known = known.filter(|known| known.hash.0.ct_eq(&hash.0).into()).ok_or(Stranger::Unknown)?;
        match known.state(now) {
            KeyState::Live => {}
            KeyState::Revoked => return Err(Stranger::Revoked),
            KeyState::Expired => return Err(Stranger::Expired),
        }
        let caller = Caller::from(&*known);
        let noted_lately = known.last_used_at.is_some_and(|at| !has_passed(USE_NOTED_EVERY, at, now));
        if !noted_lately {
            known.last_used_at = Some(now);
        }
        drop(made);
        if !noted_lately && let Err(error) = self.store().note_key_use(&id, now).await {
            tracing::debug!(key = %id, error = with_causes(&error), "cannot note the use of a key");
        }
        Ok(caller)
    }

    /// The made keys. Requests that arrive while the keys are read wait, so the keys are read once.
    async fn made(&self, now: Timestamp) -> Result<tokio::sync::MutexGuard<'_, Made>, Error> {
        let mut made = self.made.lock().await;
        if made.tried_at.is_some_and(|at| !has_passed(CACHED, at, now)) {
            return Ok(made);
        }
        match self.store().keys().await {
            Ok(keys) => *made = Made { keys, tried_at: Some(now), known: true },
            Err(error) if made.known => {
                tracing::debug!(
                    error = with_causes(&error),
                    "cannot read keys; those read before still count"
                );
                made.tried_at = Some(now);
            }
            Err(error) => return Err(error),
        }
        Ok(made)
    }

    /// All made keys that can be read, as the engine has them.
    pub(crate) async fn list(&self) -> Result<Vec<ApiKey>, Error> {
        Ok(self.store().keys().await?.readable)
    }

    /// Makes a key, and answers it with the only copy of its secret; `None` if it would be live without a key that can
    /// manage keys.
    pub(crate) async fn create(&self, new: NewKey) -> Result<Option<(ApiKey, SecretString)>, Error> {
        let (token, now) = (token::make(), self.now());
        let key = ApiKey {
            id: token.id,
            name: new.name,
            hash: token.hash,
            rights: new.rights,
            spaces: new.spaces,
            created_at: now,
            last_used_at: None,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let created = self.store().create_key(key.clone(), self.rule()).await?;
        self.forget().await;
        if let Some(before) = before(now, ENDED_KEPT) {
            self.store().prune_keys(before).await?;
        }
        Ok(created.then_some((key, token.key)))
    }

    /// Revokes a key from now on.
    pub(crate) async fn revoke(&self, id: &KeyId) -> Result<Revocation, Error> {
        let revocation = self.store().revoke_key(id, self.now(), self.rule()).await;
        self.forget().await;
        revocation
    }

    /// Reads the made keys before the next use.
    async fn forget(&self) {
        self.made.lock().await.tried_at = None;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.memory.clock().now()
    }

    fn store(&self) -> &dyn KeyStore {
        self.memory.engine().keys.as_ref()
    }

    /// Keys of the settings and of a console can manage keys, so made ones need not.
    fn rule(&self) -> AdminRule {
        let can_manage = !self.settings.is_empty() || self.settings.has_console();
        if can_manage { AdminRule::NotRequired } else { AdminRule::Required }
    }
}

/// Whether this much time has passed since then. Also true when the clock was set back.
fn has_passed(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    let elapsed = now.as_micros() - since.as_micros();
    !(0..time.as_micros() as i64).contains(&elapsed)
}

fn before(now: Timestamp, time: Duration) -> Option<Timestamp> {
    Timestamp::from_micros(now.as_micros() - time.as_micros() as i64)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn only_loopback_goes_without_a_key() {
        let key = ApiKeys::new(&[SecretString::from("a-key")]).unwrap();
        for (address, open) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.7", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(require_key_beyond_loopback(address, &ApiKeys::none()).is_ok(), open, "{address}");
            assert!(require_key_beyond_loopback(address, &key).is_ok());
        }
    }
}
