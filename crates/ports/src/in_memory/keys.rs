use async_trait::async_trait;
use memcloud_domain::{ApiKey, Error, KeyId, Timestamp};

use super::InMemoryEngine;
use crate::{AdminRule, KeyStore, Keys, Revocation};

#[async_trait]
impl KeyStore for InMemoryEngine {
    async fn keys(&self) -> Result<Keys, Error> {
        Ok(self.state().keys.clone())
    }

    async fn create_key(&self, key: ApiKey, rule: AdminRule) -> Result<bool, Error> {
        let mut state = self.state();
        let allowed = state.keys.clone().can_add(&key, rule);
        if allowed {
            put(&mut state.keys.readable, &key);
        }
        Ok(allowed)
    }

    async fn put_keys(&self, keys: &[ApiKey]) -> Result<(), Error> {
        let mut state = self.state();
        for key in keys {
            put(&mut state.keys.readable, key);
        }
        Ok(())
    }

    async fn revoke_key(&self, id: &KeyId, at: Timestamp, rule: AdminRule) -> Result<Revocation, Error> {
        let mut state = self.state();
        let revocation = state.keys.clone().revoke(id, at, rule);
        if let Revocation::Revoked(key) = &revocation {
            put(&mut state.keys.readable, key);
        }
        Ok(revocation)
    }

    async fn note_key_use(&self, id: &KeyId, at: Timestamp) -> Result<(), Error> {
        if let Some(key) = self.state().keys.readable.iter_mut().find(|key| key.id == *id) {
            key.last_used_at = key.last_used_at.max(Some(at));
        }
        Ok(())
    }

    async fn prune_keys(&self, before: Timestamp) -> Result<u64, Error> {
        let mut state = self.state();
        let ended = |end: Option<Timestamp>| end.is_some_and(|end| end < before);
        let keys = &mut state.keys.readable;
        let known = keys.len();
        keys.retain(|key| !ended(key.revoked_at) && !ended(key.expires_at));
        Ok((known - keys.len()) as u64)
    }
}

/// Keeps a key as it is. One that is known is only revoked, if this one is.
fn put(keys: &mut Vec<ApiKey>, key: &ApiKey) {
    match keys.iter_mut().find(|known| known.id == key.id) {
        Some(known) => known.revoked_at = known.revoked_at.or(key.revoked_at),
        None => keys.push(key.clone()),
    }
    keys.sort_by(|a, b| (a.created_at, a.id.as_str()).cmp(&(b.created_at, b.id.as_str())));
}
