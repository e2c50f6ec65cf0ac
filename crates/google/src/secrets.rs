//! Secret Manager.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::policy::PolicyOf;
use crate::transport::Call;
use crate::wire::{Int64, Segment, last_segment};
use crate::{Api, Cloud, Error, ErrorKind, OrNone};

const API: Api = Api::Secrets;

/// The secrets of a project.
#[derive(Clone, Debug)]
pub struct Secrets {
    cloud: Cloud,
    folder: String,
}

/// A secret, without its versions.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secret {
    /// With the number of the project where its id was sent.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The state that was read.
    pub etag: String,
}

/// A version of a secret, without what is in it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretVersion {
    /// Ends with its number.
    pub name: String,
    /// Whether it can be read.
    pub state: VersionState,
}

/// Whether a version can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VersionState {
    /// It can.
    Enabled,
    /// It cannot, until it is enabled.
    Disabled,
    /// Its content is gone.
    Destroyed,
    /// Any other.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Secret {
    /// The part of the name that was chosen.
    pub fn id(&self) -> &str {
        last_segment(&self.name)
    }
}

impl SecretVersion {
    /// Its number.
    pub fn number(&self) -> &str {
        last_segment(&self.name)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    data: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_crc32c: Option<Int64>,
}

#[derive(Deserialize)]
struct Accessed {
    name: String,
    payload: Payload,
}

impl Cloud {
    /// Secret Manager.
    pub fn secrets(&self, project: &str) -> Secrets {
        Secrets::new(self.clone(), project)
    }
}

impl Secrets {
    fn new(cloud: Cloud, project: &str) -> Self {
        Self { cloud, folder: format!("v1/projects/{}/secrets", Segment(project)) }
    }

    fn path(&self, id: &str) -> String {
        format!("{}/{}", self.folder, Segment(id))
    }

    /// Creates a secret without a version.
    pub async fn create(&self, id: &str, labels: &BTreeMap<String, String>) -> Result<Secret, Error> {
        let body = json!({"replication": {"automatic": {}}, "labels": labels});
        self.cloud.send(Call::post(API, &self.folder).query("secretId", id).body(body)).await
    }

    /// Reads a secret.
    pub async fn get(&self, id: &str) -> Result<Secret, Error> {
        self.cloud.send(Call::get(API, self.path(id))).await
    }

    /// All that fit a filter such as `labels.managed-by=memcloud`.
    pub async fn list(&self, filter: &str) -> Result<Vec<Secret>, Error> {
        self.cloud.list(Call::get(API, &self.folder).query("filter", filter), "secrets").await
    }

    /// Deletes a secret with all of its versions.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        self.cloud.send::<Value>(Call::delete(API, self.path(id))).await.map(drop)
    }

    /// Adds a version and returns its number. Each call adds one that is billed, so it is not sent again after a lost answer:
    /// the error is then an unknown outcome. [`put`](Self::put) deals with that.
    pub async fn add_version(&self, id: &str, content: &SecretString) -> Result<String, Error> {
        let bytes = content.expose_secret().as_bytes();
        let payload = Payload { data: BASE64.encode(bytes), data_crc32c: Some(Int64(crc32c(bytes).into())) };
        let call = Call::post(API, format!("{}:addVersion", self.path(id)));
        let call = call.body(json!({"payload": payload})).once().hiding(content);
        let version: SecretVersion = self.cloud.send(call).await?;
        Ok(version.number().to_owned())
    }

    /// Makes this the latest content, and returns the number of its version. Nothing is added if it is the latest already.
    pub async fn put(&self, id: &str, content: &SecretString) -> Result<String, Error> {
        if let Some(number) = self.latest_if(id, content).await? {
            return Ok(number);
        }
        match self.add_version(id, content).await {
            Err(lost) if lost.is_unknown_outcome() => match self.latest_if(id, content).await? {
                Some(number) => Ok(number),
                None => self.add_version(id, content).await,
            },
            other => other,
        }
    }

    /// The number of the latest version if it has this content.
    async fn latest_if(&self, id: &str, content: &SecretString) -> Result<Option<String>, Error> {
        match self.accessed(id, "latest").await.or_none() {
            Ok(Some((number, latest))) => {
                Ok((latest.expose_secret() == content.expose_secret()).then_some(number))
            }
            Ok(None) => Ok(None),
            // The latest version was disabled or destroyed.
            Err(error) if error.kind == ErrorKind::Invalid => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the content of a version: its number, or `latest`.
    pub async fn access(&self, id: &str, version: &str) -> Result<SecretString, Error> {
        self.accessed(id, version).await.map(|(_, content)| content)
    }

    async fn accessed(&self, id: &str, version: &str) -> Result<(String, SecretString), Error> {
        let path = format!("{}/versions/{}:access", self.path(id), Segment(version));
        let Accessed { name, payload } = self.cloud.send(Call::get(API, path)).await?;
        // No error shows any part of the content.
        let bytes = BASE64.decode(payload.data.as_bytes());
        let bytes = bytes.map_err(|_| Error::unreadable(API, "a secret that is not in base64"))?;
        if payload.data_crc32c.is_some_and(|sum| sum.0 != i64::from(crc32c(&bytes))) {
            return Err(Error::unreadable(API, "a secret whose checksum does not fit"));
        }
        let content =
            String::from_utf8(bytes).map_err(|_| Error::unreadable(API, "a secret that is not text"))?;
        Ok((last_segment(&name).to_owned(), content.into()))
    }

    /// All versions, the newest first.
    pub async fn versions(&self, id: &str) -> Result<Vec<SecretVersion>, Error> {
        self.cloud.list(Call::get(API, format!("{}/versions", self.path(id))), "versions").await
    }

    /// Destroys the content of a version.
    pub async fn destroy(&self, id: &str, version: &str) -> Result<(), Error> {
        let path = format!("{}/versions/{}:destroy", self.path(id), Segment(version));
        self.cloud.send::<Value>(Call::post(API, path).body(json!({}))).await.map(drop)
    }

    /// Gives a member a role on this secret alone. False if it had it.
    pub async fn grant(&self, id: &str, role: &str, member: &str) -> Result<bool, Error> {
        self.policy(id).grant(&self.cloud, role, member).await
    }

    /// Takes a role on this secret from a member. False if it did not have it, or if the secret is gone.
    pub async fn revoke(&self, id: &str, role: &str, member: &str) -> Result<bool, Error> {
        self.policy(id).revoke(&self.cloud, role, member).await
    }

    fn policy(&self, id: &str) -> PolicyOf {
        PolicyOf { api: API, resource: self.path(id) }
    }
}

/// The Castagnoli checksum, which Secret Manager compares before it keeps a version.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let step = |sum: u32| (sum >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(sum & 1));
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn checksums_equal_published_ones() {
        // The check value of CRC-32/ISCSI in the published list of CRC algorithms.
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        // From Google's example: `secret`.
        assert_eq!(crc32c(b"secret"), 2_956_741_965);
    }
}
