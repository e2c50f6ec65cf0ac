use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::{Local, refused};

/// Revokes the keys that came with a copy: those of the original do not open it.
pub(super) struct Keys(pub(super) Arc<Local>);

#[async_trait]
impl Step for Keys {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let client = self.0.client(&job.instance).await?;
        Ok(json!({"revoked": revoke_all(&client).await.map_err(|error| refused(&error))?}))
    }
}

/// Revokes every key that the instance keeps. That of the control plane is not among them.
pub(super) async fn revoke_all(client: &memcloud_client::Client) -> Result<usize, memcloud_client::Error> {
    let keys = client.keys().await?.keys;
    let active: Vec<_> = keys.iter().filter(|key| key.state != "revoked").collect();
    for key in &active {
        client.revoke_key(&key.id).await?;
    }
    Ok(active.len())
}
