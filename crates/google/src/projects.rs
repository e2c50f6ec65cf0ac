//! Resource Manager: one project.

use serde::Deserialize;
use serde_json::json;

use crate::policy::PolicyOf;
use crate::transport::Call;
use crate::wire::{Segment, last_segment};
use crate::{Api, Cloud, Error, Policy};

const API: Api = Api::Projects;
/// The most permissions that one call tests.
const TESTED_AT_ONCE: usize = 100;

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    cloud: Cloud,
    path: String,
}

/// What a project is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectInfo {
    /// `projects/` and its number.
    pub name: String,
    /// The id that people choose.
    pub project_id: String,
    /// `ACTIVE`, unless its deletion was requested.
    pub state: String,
}

impl ProjectInfo {
    /// Its number, by which some APIs name it.
    pub fn number(&self) -> &str {
        last_segment(&self.name)
    }
}

impl Cloud {
    /// Resource Manager.
    pub fn project(&self, project: &str) -> Project {
        Project::new(self.clone(), project)
    }
}

impl Project {
    fn new(cloud: Cloud, project: &str) -> Self {
        Self { cloud, path: format!("v3/projects/{}", Segment(project)) }
    }

    /// Reads it. A project that the caller may not see is refused like one that does not exist.
    pub async fn get(&self) -> Result<ProjectInfo, Error> {
        self.cloud.send(Call::get(API, &self.path)).await
    }

    /// Those of the permissions that the caller lacks.
    pub async fn missing_permissions(&self, needed: &[&str]) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Granted {
            #[serde(default)]
            permissions: Vec<String>,
        }
        let mut missing = Vec::new();
        for permissions in needed.chunks(TESTED_AT_ONCE) {
            let call = Call::post(API, format!("{}:testIamPermissions", self.path));
            let granted: Granted = self.cloud.send(call.body(json!({"permissions": permissions}))).await?;
            let lacks = |permission: &&&str| !granted.permissions.iter().any(|has| has == **permission);
            missing.extend(permissions.iter().filter(lacks).map(|permission| (*permission).to_owned()));
        }
        Ok(missing)
    }

    /// Reads who has which role.
    pub async fn policy(&self) -> Result<Policy, Error> {
        self.policy_of().read(&self.cloud).await
    }

    /// Gives a member a role on the whole project. False if it had it.
    pub async fn grant(&self, role: &str, member: &str) -> Result<bool, Error> {
        self.policy_of().grant(&self.cloud, role, member).await
    }

    /// Takes a role from a member. False if it did not have it.
    pub async fn revoke(&self, role: &str, member: &str) -> Result<bool, Error> {
        self.policy_of().revoke(&self.cloud, role, member).await
    }

    fn policy_of(&self) -> PolicyOf {
        PolicyOf { api: API, resource: self.path.clone() }
    }
}
