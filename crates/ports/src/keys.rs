//! The keys that an instance made.

use async_trait::async_trait;
use memcloud_domain::{ApiKey, Error, KeyId, KeyState, Timestamp, lacks_admin};

/// Whether live keys must include one that can manage keys: see [`memcloud_domain::lacks_admin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRule {
    /// They must: without such a key, no key could be managed.
    Required,
    /// They need not: a key in the settings can.
    NotRequired,
}

/// The result of revoking a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked, now or since an earlier call, whose moment it keeps.
    Revoked(ApiKey),
    /// It was not revoked: it is the only live key that can manage keys, and other keys are live.
    LastAdmin,
    /// There is no such key.
    Unknown,
}

/// The keys of an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Those that can be read.
    pub readable: Vec<ApiKey>,
    /// Whether there are others. They open nothing, but each may be live, so an instance that has some is not one without
    /// keys.
    pub has_unreadable: bool,
}

impl Keys {
    /// Whether a key is live, as far as can be read.
    pub fn any_live(&self, now: Timestamp) -> bool {
        self.readable.iter().any(|key| key.state(now) == KeyState::Live)
    }

    /// Whether keys may be live, and none that can be read can manage keys.
    pub fn lack_admin(&self, now: Timestamp) -> bool {
        lacks_admin(&self.readable, now) || (self.has_unreadable && !self.any_live(now))
    }

    /// Whether the rule allows this new key next to these.
    pub fn can_add(mut self, key: &ApiKey, rule: AdminRule) -> bool {
        self.readable.push(key.clone());
        rule == AdminRule::NotRequired || !self.lack_admin(key.created_at)
    }

    /// What revoking one of these keys results in. An engine keeps the key that is revoked, if one is.
    pub fn revoke(mut self, id: &KeyId, at: Timestamp, rule: AdminRule) -> Revocation {
        let Some(key) = self.readable.iter_mut().find(|key| key.id == *id) else {
            return Revocation::Unknown;
        };
        let was_revoked = key.revoked_at.is_some();
        key.revoked_at.get_or_insert(at);
        let key = key.clone();
        if rule == AdminRule::Required && !was_revoked && key.manages_keys() && self.lack_admin(at) {
            return Revocation::LastAdmin;
        }
        Revocation::Revoked(key)
    }
}

/// Where an engine keeps the keys that an instance made. Each operation is one transaction, and durable when it answers.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// All keys that have not been pruned, also those that were revoked or have expired, by when they were made and
    /// by id.
    async fn keys(&self) -> Result<Keys, Error>;

    /// Keeps a new key. Answers `false`, and keeps nothing, if the rule requires a live key that can manage keys and
    /// there would be none when this one is made.
    async fn create_key(&self, key: ApiKey, rule: AdminRule) -> Result<bool, Error>;

    /// Keeps keys of another store as they are there. A key that is known by its id stays as it is, except that it is
    /// revoked if the given one is.
    async fn put_keys(&self, keys: &[ApiKey]) -> Result<(), Error>;

    /// Revokes a key from this moment on, unless the rule forbids it.
    async fn revoke_key(&self, id: &KeyId, at: Timestamp, rule: AdminRule) -> Result<Revocation, Error>;

    /// Records the use of a key, unless a later use is recorded or the key is unknown.
    async fn note_key_use(&self, id: &KeyId, at: Timestamp) -> Result<(), Error>;

    /// Removes the keys that were revoked or expired before this moment, and says how many there were.
    async fn prune_keys(&self, before: Timestamp) -> Result<u64, Error>;
}
