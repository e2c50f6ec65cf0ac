//! Revokes keys of instances whose moment has come.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use memcloud_domain::Timestamp;

use super::Operations;
use crate::instances::{Instance, State};
use crate::{ControlStore, Error, InstanceId};

/// How long a revocation may take.
const LIMIT: Duration = Duration::from_secs(1);

/// Revokes the keys that are due. Those of an instance that does not run wait until it does; those of one that is removed are
/// done.
pub(super) async fn revoke_due(
    store: &dyn ControlStore,
    operations: &dyn Operations,
    instances: &[Instance],
    now: Timestamp,
) -> Result<(), Error> {
    let due = store.due_revocations(now).await?;
    let mut revoking = FuturesUnordered::new();
    for (id, key) in &due {
        let instance = instances.iter().find(|instance| instance.id == *id);
        revoking.push(revoke_one(store, operations, instance, id, key));
    }
    let mut outcome = Ok(());
    while let Some(revoked) = revoking.next().await {
        outcome = outcome.and(revoked);
    }
    outcome
}

/// Revokes a key, if its instance runs. `instance` is `None` when it is removed.
async fn revoke_one(
    store: &dyn ControlStore,
    operations: &dyn Operations,
    instance: Option<&Instance>,
    id: &InstanceId,
    key: &str,
) -> Result<(), Error> {
    let is_done = match instance {
        None => true,
        Some(instance) if matches!(instance.state, State::Running | State::Degraded) => {
            tokio::time::timeout(LIMIT, revoke(operations, instance, key)).await.unwrap_or(false)
        }
        Some(_) => false,
    };
    if !is_done {
        return Ok(());
    }
    store.revocation_done(id, key).await?;
    tracing::info!(instance = %id, key, "revoked a key of an instance");
    Ok(())
}

/// Whether the instance has revoked the key, or has none of this id. What fails is tried again.
async fn revoke(operations: &dyn Operations, instance: &Instance, key: &str) -> bool {
    let revoked = match operations.client(instance).await {
        Ok(client) => client.revoke_key(key).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    match revoked {
        Ok(_) => true,
        Err(Error::Instance(error)) if error.refusal().is_some_and(|refusal| refusal.status == 404) => true,
        Err(error) => {
            tracing::debug!(instance = %instance.id, key, %error, "cannot revoke a key of an instance");
            false
        }
    }
}
