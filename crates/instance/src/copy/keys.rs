//! API keys: their hashes, and what is known of them.

use std::collections::HashMap;

use memcloud_domain::{ApiKey, KeyId, Timestamp};
use memcloud_ports::Engine;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Sum;
use crate::error::Error;

/// Copies the keys.
pub(super) async fn copy(source: &Engine, target: &Engine) -> Result<(), Error> {
    target.keys.put_keys(&source.keys.keys().await?.readable).await?;
    Ok(())
}

/// Reads both sides and compares what the source has. The target may have revoked a key, or have seen it used, since an
/// earlier copy.
pub(super) async fn check(source: &Engine, target: &Engine) -> Result<Sum, Error> {
    let here = source.keys.keys().await?.readable;
    let there = target.keys.keys().await?.readable;
    let there: HashMap<&KeyId, &ApiKey> = there.iter().map(|key| (&key.id, key)).collect();
    let mut sum = Sum::default();
    for key in &here {
        let copied = there.get(&key.id).is_some_and(|there| {
            of_key(there) == of_key(key) && (key.revoked_at.is_none() || there.revoked_at.is_some())
        });
        if !copied {
            return Err(Error::KeyDiffers { id: key.id.clone() });
        }
        sum.keys += 1;
        sum.take(Sha256::new_with_prefix(of_key(key)));
    }
    Ok(sum)
}

/// What never changes of a key.
fn of_key(key: &ApiKey) -> String {
    json!([
        key.id.as_str(),
        key.name,
        key.hash.0,
        key.rights.to_string(),
        key.spaces,
        key.created_at.as_micros(),
        key.expires_at.map(Timestamp::as_micros),
    ])
    .to_string()
}
