//! Who calls: application default credentials in all their forms.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use google_cloud_auth::build_errors::Error as BuilderError;
use google_cloud_auth::credentials::{
    AccessTokenCredentials, CacheableResource, CredentialsProvider, external_account,
    external_account_authorized_user, impersonated, mds, service_account, user_account,
};
use http::{Extensions, HeaderMap};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{Error, ErrorKind};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long a token may take. A metadata server that is not there never answers.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Where `gcloud auth application-default login` writes, below the home folder.
const GCLOUD_FILE: &str = ".config/gcloud/application_default_credentials.json";

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// A file: a service account's key, a user's sign-in, an external account or an impersonation.
    File(PathBuf),
    /// The metadata server of a machine of Google: the usual one, or the one at `host[:port]`.
    Metadata(Option<String>),
}

impl CredentialSource {
    /// The order of application default credentials: `GOOGLE_APPLICATION_CREDENTIALS`, the file of gcloud, the metadata server
    /// at `GCE_METADATA_HOST` or the usual place.
    pub fn find(environment: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        if let Some(file) = set("GOOGLE_APPLICATION_CREDENTIALS") {
            return Self::File(file.into());
        }
        let of_gcloud = set("HOME").map(|home| Path::new(&home).join(GCLOUD_FILE));
        match of_gcloud.filter(|file| file.exists()) {
            Some(file) => Self::File(file),
            None => Self::Metadata(set("GCE_METADATA_HOST").and_then(|host| host.into_string().ok())),
        }
    }

    async fn open(&self, quota_project: Option<&str>) -> Result<AccessTokenCredentials, Error> {
        match self {
            Self::Metadata(host) => {
                let builder = mds::Builder::default().with_scopes([SCOPE]);
                let builder = match host {
                    Some(host) => builder.with_endpoint(format!("http://{host}")),
                    None => builder,
                };
                builder.build_access_token_credentials().map_err(|error| unusable(&error))
            }
            Self::File(path) => {
                let text = tokio::fs::read(path).await.map_err(|error| {
                    let message = format!("cannot read the credentials in {}: {error}", path.display());
                    Error::new(ErrorKind::Credentials, message, "check GOOGLE_APPLICATION_CREDENTIALS")
                })?;
                // The file holds secrets: the error must not show it.
                let json: Value = serde_json::from_slice(&text).map_err(|_| {
                    let message = format!("{} is not JSON", path.display());
                    Error::new(ErrorKind::Credentials, message, "check GOOGLE_APPLICATION_CREDENTIALS")
                })?;
                from_json(json, quota_project)
            }
        }
    }
}

fn from_json(json: Value, quota_project: Option<&str>) -> Result<AccessTokenCredentials, Error> {
    let kind = json["type"].as_str().unwrap_or_default().to_owned();
    let built = match kind.as_str() {
        "service_account" => {
            let scope = service_account::AccessSpecifier::from_scopes([SCOPE]);
            let builder = service_account::Builder::new(json).with_access_specifier(scope);
            builder.build_access_token_credentials()
        }
        "authorized_user" => {
            // Calls of a user count against the project of gcloud itself unless they name another one.
            let names_one = json["quota_project_id"].is_string();
            let builder = user_account::Builder::new(json).with_scopes([SCOPE]);
            let builder = match quota_project.filter(|_| !names_one) {
                Some(project) => builder.with_quota_project_id(project),
                None => builder,
            };
            builder.build_access_token_credentials()
        }
        "impersonated_service_account" => {
            impersonated::Builder::new(json).with_scopes([SCOPE]).build_access_token_credentials()
        }
        "external_account" => {
            external_account::Builder::new(json).with_scopes([SCOPE]).build_access_token_credentials()
        }
        "external_account_authorized_user" => {
            let builder = external_account_authorized_user::Builder::new(json);
            builder.build_access_token_credentials()
        }
        _ => {
            let message = format!("credentials of the type '{kind}' are not supported");
            let hint = "use a service account, a user, an external account or an impersonated account";
            return Err(Error::new(ErrorKind::Credentials, message, hint));
        }
    };
    built.map_err(|error| unusable(&error))
}

fn unusable(error: &BuilderError) -> Error {
    let message = format!("the credentials cannot be used: {error}");
    Error::new(ErrorKind::Credentials, message, SIGN_IN)
}

const SIGN_IN: &str =
    "sign in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS";

/// Tokens of one source, kept until shortly before they expire.
#[derive(Debug)]
pub(crate) struct Credentials {
    source: CredentialSource,
    quota_project: Option<String>,
    /// Opened by the first call, and again after a token was refused.
    open: Mutex<Option<AccessTokenCredentials>>,
}

impl Credentials {
    pub(crate) fn new(source: CredentialSource, quota_project: Option<String>) -> Self {
        Self { source, quota_project, open: Mutex::new(None) }
    }

    /// The headers that authorize a call.
    pub(crate) async fn headers(&self) -> Result<HeaderMap, Error> {
        let credentials = self.opened().await?;
        let headers = tokio::time::timeout(TIME_LIMIT, credentials.headers(Extensions::new())).await;
        match headers {
            Ok(Ok(CacheableResource::New { data, .. })) => Ok(data),
            Ok(Ok(CacheableResource::NotModified)) => Err(self.no_token("nothing was answered")),
            Ok(Err(error)) => Err(self.no_token(&causes(&error))),
            Err(_) => Err(self.no_token("no answer in time")),
        }
    }

    /// The token alone, for services that are not Google's own APIs.
    pub(crate) async fn token(&self) -> Result<SecretString, Error> {
        let credentials = self.opened().await?;
        match tokio::time::timeout(TIME_LIMIT, credentials.access_token()).await {
            Ok(Ok(token)) => Ok(token.token.into()),
            Ok(Err(error)) => Err(self.no_token(&causes(&error))),
            Err(_) => Err(self.no_token("no answer in time")),
        }
    }

    /// Forgets the token: the next call gets another one.
    pub(crate) async fn forget(&self) {
        *self.open.lock().await = None;
    }

    async fn opened(&self) -> Result<AccessTokenCredentials, Error> {
        let mut open = self.open.lock().await;
        if let Some(credentials) = &*open {
            return Ok(credentials.clone());
        }
        let credentials = self.source.open(self.quota_project.as_deref()).await?;
        Ok(open.insert(credentials).clone())
    }

    fn no_token(&self, problem: &str) -> Error {
        let place = match &self.source {
            CredentialSource::File(path) => path.display().to_string(),
            CredentialSource::Metadata(Some(host)) => format!("the metadata server at {host}"),
            CredentialSource::Metadata(None) => "the metadata server".into(),
        };
        let message = format!("no access token from {place}: {problem}");
        Error::new(ErrorKind::Credentials, message, SIGN_IN)
    }
}

/// An error with its causes, without what a server answered: that may repeat what was sent.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    match text.split_once("body=<") {
        Some((before, _)) => before.trim_end_matches([' ', ',']).to_owned(),
        None => text,
    }
}
