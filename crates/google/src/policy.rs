//! Who may do what with a resource: policies that are read, changed and written back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::transport::Call;
use crate::{Api, Cloud, Error, ErrorKind};

/// The version of policies that can have conditions. A policy must not be written in an older one than it is kept in.
const VERSION: i32 = 3;

/// Who has which role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// One entry per role and condition.
    #[serde(default)]
    pub bindings: Vec<Binding>,
    /// The state that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// What is not ours to change, and goes back as it came.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Who has a role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// The role.
    pub role: String,
    /// Such as `serviceAccount:a@p.iam.gserviceaccount.com` or `allUsers`.
    #[serde(default)]
    pub members: Vec<String>,
    /// A condition, among others.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Policy {
    /// Gives a member a role without a condition. False if it had it.
    pub fn grant(&mut self, role: &str, member: &str) -> bool {
        let unconditional = |binding: &&mut Binding| binding.role == role && binding.rest.is_empty();
        let Some(binding) = self.bindings.iter_mut().find(unconditional) else {
            self.bindings.push(Binding { role: role.into(), members: vec![member.into()], rest: Map::new() });
            return true;
        };
        let has = binding.members.iter().any(|of| of == member);
        if !has {
            binding.members.push(member.into());
        }
        !has
    }

    /// Takes a role from a member, also from what is left of it after it was deleted. False if it did not have it.
    pub fn revoke(&mut self, role: &str, member: &str) -> bool {
        let remains = format!("deleted:{member}?uid=");
        let mut revoked = false;
        for binding in self.bindings.iter_mut().filter(|binding| binding.role == role) {
            let before = binding.members.len();
            binding.members.retain(|of| of != member && !of.starts_with(&remains));
            revoked |= binding.members.len() < before;
        }
        self.bindings.retain(|binding| !binding.members.is_empty());
        revoked
    }

    /// Whether a member has a role without a condition.
    pub fn grants(&self, role: &str, member: &str) -> bool {
        let unconditional = |binding: &&Binding| binding.role == role && binding.rest.is_empty();
        self.bindings
            .iter()
            .filter(unconditional)
            .any(|binding| binding.members.iter().any(|of| of == member))
    }
}

/// Where a policy is: the path of its resource.
#[derive(Clone, Debug)]
pub(crate) struct PolicyOf {
    pub(crate) api: Api,
    pub(crate) resource: String,
}

/// What a resource is that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Made a moment ago, and not known everywhere yet.
    IsNew,
    /// Removed.
    IsGone,
}

impl PolicyOf {
    pub(crate) async fn read(&self, cloud: &Cloud) -> Result<Policy, Error> {
        let path = format!("{}:getIamPolicy", self.resource);
        let call = match self.api {
            Api::Projects => {
                Call::post(self.api, path).body(json!({"options": {"requestedPolicyVersion": VERSION}}))
            }
            _ => Call::get(self.api, path).query("options.requestedPolicyVersion", VERSION.to_string()),
        };
        cloud.send(call).await
    }

    /// Applies a change that returns whether there is something to write. A race with another writer is run again.
    async fn change(
        &self,
        cloud: &Cloud,
        missing: Missing,
        change: impl Fn(&mut Policy) -> bool + Send + Sync,
    ) -> Result<bool, Error> {
        let mut pauses = cloud.pauses();
        loop {
            let error = match self.change_once(cloud, &change).await {
                Ok(changed) => return Ok(changed),
                Err(error) => error,
            };
            let again = match error.kind {
                ErrorKind::Conflict => true,
                ErrorKind::NotFound if missing == Missing::IsGone => false,
                ErrorKind::NotFound | ErrorKind::ApiDisabled | ErrorKind::Forbidden { .. } => {
                    pauses.may_settle()
                }
                _ => false,
            };
            if !again {
                return Err(error);
            }
            pauses.next(Duration::ZERO, error).await?;
        }
    }

    async fn change_once(
        &self,
        cloud: &Cloud,
        change: &(impl Fn(&mut Policy) -> bool + Sync),
    ) -> Result<bool, Error> {
        // A caller that waits for a change to settle must not keep the others waiting.
        let cloud = cloud.with(cloud.patience().settled());
        let turn = cloud.patience().unless_cancelled(cloud.shared.policies.lock()).await;
        let _turn = turn.ok_or_else(Error::cancelled)?;
        let mut policy = self.read(&cloud).await?;
        if !change(&mut policy) {
            return Ok(false);
        }
        policy.rest.insert("version".into(), VERSION.into());
        let call = Call::post(self.api, format!("{}:setIamPolicy", self.resource));
        let _: Value = cloud.send(call.body(json!({"policy": policy}))).await?;
        Ok(true)
    }

    pub(crate) async fn grant(&self, cloud: &Cloud, role: &str, member: &str) -> Result<bool, Error> {
        self.change(cloud, Missing::IsNew, |policy| policy.grant(role, member)).await
    }

    /// A resource that is gone has no policy left to change.
    pub(crate) async fn revoke(&self, cloud: &Cloud, role: &str, member: &str) -> Result<bool, Error> {
        match self.change(cloud, Missing::IsGone, |policy| policy.revoke(role, member)).await {
            Err(error) if error.is_not_found() => Ok(false),
            other => other,
        }
    }
}
