use async_trait::async_trait;
use memcloud_domain::{ApiKey, Error, KeyId, Timestamp, lacks_admin};

use super::InMemoryEngine;
use crate::{AdminRule, KeyStore, Keys, Revocation};

#[async_trait]
impl KeyStore for InMemoryEngine {
    async fn keys(&self) -> Result<Keys, Error> {
        Ok(Keys { readable: self.state().keys.clone(), has_unreadable: false })
    }

    async fn create_key(&self, key: ApiKey, rule: AdminRule) -> Result<bool, Error> {
        let mut state = self.state();
        let mut keys = state.keys.clone();
        let created_at = key.created_at;
        keys.push(key);
        keys.sort_by(|a, b| (a.created_at, a.id.as_str()).cmp(&(b.created_at, b.id.as_str())));
        let allowed = rule == AdminRule::NotRequired || !lacks_admin(&keys, created_at);
        if allowed {
            state.keys = keys;
        }
        Ok(allowed)
    }

    async fn put_keys(&self, keys: &[ApiKey]) -> Result<(), Error> {
        let mut state = self.state();
        for key in keys {
            match state.keys.iter_mut().find(|known| known.id == key.id) {
                Some(known) => known.revoked_at = known.revoked_at.or(key.revoked_at),
                None => state.keys.push(key.clone()),
            }
        }
        state.keys.sort_by(|a, b| (a.created_at, a.id.as_str()).cmp(&(b.created_at, b.id.as_str())));
        Ok(())
    }

    async fn revoke_key(&self, id: &KeyId, at: Timestamp, rule: AdminRule) -> Result<Revocation, Error> {
        let mut state = self.state();
        let mut keys = state.keys.clone();
        let Some(index) = keys.iter().position(|key| key.id == *id) else { return Ok(Revocation::Unknown) };
        keys[index].revoked_at.get_or_insert(at);
        let was_live = state.keys[index].revoked_at.is_none();
        if was_live && rule == AdminRule::Required && keys[index].manages_keys() && lacks_admin(&keys, at) {
            return Ok(Revocation::LastAdmin);
        }
        let revoked = keys[index].clone();
        state.keys = keys;
        Ok(Revocation::Revoked(revoked))
    }

    async fn note_key_use(&self, id: &KeyId, at: Timestamp) -> Result<(), Error> {
        if let Some(key) = self.state().keys.iter_mut().find(|key| key.id == *id) {
            key.last_used_at = key.last_used_at.max(Some(at));
        }
        Ok(())
    }

    async fn prune_keys(&self, before: Timestamp) -> Result<u64, Error> {
        let mut state = self.state();
        let ended = |end: Option<Timestamp>| end.is_some_and(|end| end < before);
        let known = state.keys.len();
        state.keys.retain(|key| !ended(key.revoked_at) && !ended(key.expires_at));
        Ok((known - state.keys.len()) as u64)
    }
}
