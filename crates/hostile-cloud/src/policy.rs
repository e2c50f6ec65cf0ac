//! Who may do what with a resource: IAM policies.

use serde_json::{Value, json};

/// Whom another administrator of the project has granted a role. A policy that is read, changed and written keeps it.
pub(crate) const FOREIGN_MEMBER: &str = "user:someone-else@example.com";
/// What a grant to everyone names.
pub(crate) const EVERYONE: &str = "allUsers";

/// A policy, and how often it has changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    bindings: Vec<Value>,
    version: u64,
    changes: u64,
}

impl Policy {
    /// A policy with one binding.
    pub(crate) fn granting(role: &str, member: &str) -> Self {
        Self { bindings: vec![json!({"role": role, "members": [member]})], version: 1, changes: 0 }
    }

    pub(crate) fn etag(&self) -> String {
        data_encoding::BASE64.encode(&self.changes.to_be_bytes())
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"version": self.version.max(1), "etag": self.etag()});
        if !self.bindings.is_empty() {
            body["bindings"] = self.bindings.clone().into();
        }
        body
    }

    /// The policy that a client gives in place of this one.
    pub(crate) fn replaced_by(&self, given: &Value) -> Self {
        let bindings = given["bindings"].as_array().cloned().unwrap_or_default();
        let granted =
            |binding: &Value| binding["members"].as_array().is_some_and(|members| !members.is_empty());
        Self {
            bindings: bindings.into_iter().filter(granted).collect(),
            version: given["version"].as_u64().unwrap_or(self.version),
            changes: self.changes + 1,
        }
    }

    /// Whether a member has a role, without a condition.
    pub(crate) fn grants(&self, role: &str, member: &str) -> bool {
        self.bindings.iter().any(|binding| {
            let members = binding["members"].as_array();
            binding["role"] == role
                && binding.get("condition").is_none()
                && members.is_some_and(|members| members.iter().any(|one| one == member))
        })
    }

    /// All members of all roles.
    pub(crate) fn members(&self) -> impl Iterator<Item = &str> {
        let members = self.bindings.iter().filter_map(|binding| binding["members"].as_array());
        members.flatten().filter_map(Value::as_str)
    }

    /// Renames a member, as the deletion of a service account does.
    pub(crate) fn rename(&mut self, member: &str, name: &str) {
        for binding in &mut self.bindings {
            for one in binding["members"].as_array_mut().into_iter().flatten().filter(|one| *one == member) {
                *one = name.into();
                self.changes += 1;
            }
        }
    }

    /// A change by another principal, after which an etag that was read before is old.
    pub(crate) fn change(&mut self) {
        self.changes += 1;
    }
}
