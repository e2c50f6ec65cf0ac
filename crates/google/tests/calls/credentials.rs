//! Who calls.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use memcloud_google::{Cloud, Config, CredentialSource, ErrorKind, Pace};
use memcloud_hostile_cloud::{HostileCloud, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::service::Service;

fn source(variables: &[(&str, &str)]) -> CredentialSource {
    let variables: Vec<(String, OsString)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    CredentialSource::find(|name| Some(variables.iter().find(|(of, _)| of == name)?.1.clone()))
}

#[test]
fn credentials_are_found_in_the_usual_order() {
    let home = TempDir::new().unwrap();
    let home_path = home.path().to_str().unwrap();
    let metadata = CredentialSource::Metadata(None);
    assert_eq!(source(&[("HOME", home_path)]), metadata);
    assert_eq!(source(&[("GOOGLE_APPLICATION_CREDENTIALS", "")]), metadata);
    let fake = CredentialSource::Metadata(Some("127.0.0.1:9".into()));
    assert_eq!(source(&[("GCE_METADATA_HOST", "127.0.0.1:9")]), fake);
    let file = home.path().join(".config/gcloud/application_default_credentials.json");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "{}").unwrap();
    assert_eq!(source(&[("HOME", home_path), ("GCE_METADATA_HOST", "h")]), CredentialSource::File(file));
    let all = [("GOOGLE_APPLICATION_CREDENTIALS", "/key.json"), ("HOME", home_path)];
    assert_eq!(source(&all), CredentialSource::File("/key.json".into()));
}

fn written(folder: &TempDir, credentials: &Value) -> CredentialSource {
    let path = folder.path().join("credentials.json");
    fs::write(&path, credentials.to_string()).unwrap();
    CredentialSource::File(path)
}

#[tokio::test]
async fn calls_of_a_user_count_against_a_project_of_theirs() {
    let folder = TempDir::new().unwrap();
    let service = Service::start([]).await;
    let token_uri = format!("http://{}/token", service.address());
    let mut user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "token_uri": token_uri});
    service.cloud_of(written(&folder, &user)).run("p", "l").list().await.unwrap();
    user["quota_project_id"] = "their-own".into();
    service.cloud_of(written(&folder, &user)).run("p", "l").list().await.unwrap();
    service.cloud().run("p", "l").list().await.unwrap();
    let counted: Vec<_> =
        service.asked().iter().map(|a| a.headers.get("x-goog-user-project").cloned()).collect();
    assert_eq!(counted[0].as_ref().unwrap(), "quota");
    assert_eq!(counted[1].as_ref().unwrap(), "their-own");
    assert_eq!(counted[2], None);
}

#[tokio::test]
async fn unusable_credentials_are_refused_without_showing_them() {
    let folder = TempDir::new().unwrap();
    let service = Service::start([]).await;
    let unknown = json!({"type": "gdch_service_account", "private_key": "hunter2"});
    let incomplete = json!({"type": "service_account", "private_key": "hunter2"});
    let wrong_key = json!({"type": "service_account", "private_key": "hunter2", "client_email": "a@b",
        "private_key_id": "1", "project_id": "p"});
    for credentials in [unknown, incomplete, wrong_key, json!("hunter2")] {
        let cloud = service.cloud_of(written(&folder, &credentials));
        let error = cloud.check_credentials().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Credentials, "{credentials}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let missing = service.cloud_of(CredentialSource::File(PathBuf::from("/no/such/file")));
    let error = missing.check_credentials().await.unwrap_err();
    assert!(error.message.contains("/no/such/file"), "{error}");
}

#[tokio::test]
async fn tokens_go_to_other_machines_only_encrypted() {
    for (endpoint, allowed) in [
        ("http://example.com", false),
        ("https://example.com", true),
        ("http://[::1]:1", true),
        ("ftp://localhost", false),
    ] {
        let config = Config {
            endpoint: Some(endpoint.parse().unwrap()),
            credentials: CredentialSource::Metadata(None),
            quota_project: None,
            aura: None,
            pace: Pace::default(),
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        assert_eq!(Cloud::new(config).is_ok(), allowed, "{endpoint}");
    }
}

#[tokio::test]
async fn a_file_and_a_metadata_server_admit_to_the_same_project() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fake = HostileCloud::start(Options::default().without_processes()).unwrap();
    for credentials in [
        CredentialSource::File(fake.credentials_file()),
        CredentialSource::Metadata(Some(fake.metadata_host())),
    ] {
        let config = Config {
            endpoint: Some(fake.base().parse().unwrap()),
            credentials,
            quota_project: None,
            aura: None,
            pace: Pace::quick(),
        };
        let project = Cloud::new(config).unwrap().project(&fake.project()).get().await.unwrap();
        assert_eq!(project.project_id, fake.project());
        assert_eq!(project.number(), fake.number().to_string());
    }
    assert!(fake.violations().is_empty(), "{:?}", fake.violations());
}
