use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use memcloud_control::access::{Accounts, Password, Refused, Role};
use memcloud_control::instances::{Connection, Settings};
use memcloud_control::operations::OnFailure;
use memcloud_control::{
    Caller, ControlStore, Error, Instance, InstanceId, InstanceStore, Operation, OperationKind,
    OrganizationId, PageQuery, Plan, Seal, SecretStore, Secrets, State, Topology, Wanted,
};
use memcloud_control_store::SqliteControlStore;
use memcloud_domain::{Clock, Right, Rights, Timestamp};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::scripted::{TARGET, TickingClock};

pub(crate) fn open() -> (tempfile::TempDir, Arc<SqliteControlStore>) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteControlStore::open(&dir.path().join("console.db")).unwrap();
    (dir, Arc::new(store))
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

pub(crate) fn instance(organization: &OrganizationId, name: &str) -> Instance {
    Instance {
        id: InstanceId::random(),
        organization: organization.clone(),
        name: name.parse().unwrap(),
        target: TARGET,
        topology: Topology::Embedded,
        wanted: Wanted::Running,
        state: State::Queued,
        reason: None,
        url: None,
        version: None,
        has_llm: false,
        placement: json!({"port": 8081}),
        created_at: at(5),
        changed_at: at(5),
    }
}

pub(crate) async fn keep(
    store: &SqliteControlStore,
    secrets: &Secrets,
    instance: &Instance,
    settings: &Settings,
) -> Result<(), Error> {
    let plan = Plan { steps: vec![], on_failure: OnFailure::Undo };
    let operation = Operation::new(instance, OperationKind::Create, plan, "ann".into(), at(5));
    let entry =
        Caller::system(instance.organization.clone()).entry(at(5), "create instance", instance.name.as_str());
    store.create_instance(instance, &secrets.seal(&instance.id, settings)?, &operation, &entry).await
}

pub(crate) fn secrets(store: &Arc<SqliteControlStore>, keys: &str) -> Secrets {
    let port: Arc<dyn ControlStore> = store.clone();
    Secrets::new(port, Seal::from_text(keys).unwrap())
}

#[tokio::test]
async fn names_are_unique_in_an_organization_and_lists_have_pages() {
    let (_dir, store) = open();
    let secrets = secrets(&store, &Seal::make_key());
    let (own, other): (OrganizationId, OrganizationId) = ("own".parse().unwrap(), "other".parse().unwrap());
    for name in ["c", "a", "b"] {
        let made = instance(&own, name);
        keep(&store, &secrets, &made, &Settings::default()).await.unwrap();
        assert_eq!(store.instance(&made.id).await.unwrap(), made);
    }
    let taken = keep(&store, &secrets, &instance(&own, "b"), &Settings::default()).await;
    assert!(matches!(taken, Err(Error::NameTaken(name)) if name == "b"));
    keep(&store, &secrets, &instance(&other, "b"), &Settings::default()).await.unwrap();
    let names = async |cursor| {
        let page = PageQuery { limit: 2, cursor };
        let page = store.instances(Some(&own), None, &page).await.unwrap();
        (page.items.iter().map(|found| found.name.to_string()).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = names(None).await;
    assert_eq!(first, ["a", "b"]);
    let (second, next) = names(Some(next.unwrap())).await;
    assert_eq!((second, next), (vec!["c".to_owned()], None));
    let named = store.instances(Some(&own), Some("b"), &PageQuery { limit: 9, cursor: None }).await.unwrap();
    assert_eq!(named.items.len(), 1);
}

#[tokio::test]
async fn settings_are_sealed_and_resealed_with_a_new_key() {
    let (dir, store) = open();
    let (old, new) = (Seal::make_key(), Seal::make_key());
    let connection = Connection {
        connection_string: "bolt://db".into(),
        username: Some("neo4j".into()),
        password: Some("hunter2hunter2".into()),
    };
    let settings = Settings { neo4j: Some(connection), key: "mcc_secret".into(), ..Settings::default() };
    let made = instance(&"own".parse().unwrap(), "a");
    keep(&store, &secrets(&store, &old), &made, &settings).await.unwrap();
    let both = secrets(&store, &format!("{new},{old}"));
    assert_eq!(both.settings(&made.id).await.unwrap(), settings);
    assert_eq!((both.reseal().await.unwrap(), both.reseal().await.unwrap()), (1, 0));
    assert!(secrets(&store, &old).settings(&made.id).await.is_err());
    assert_eq!(secrets(&store, &new).settings(&made.id).await.unwrap(), settings);
    for file in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let bytes = std::fs::read(file.path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("hunter2") && !text.contains("mcc_secret"), "{}", file.path().display());
    }
    let mode = std::fs::metadata(dir.path().join("console.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    store.remove_settings(&made.id).await.unwrap();
    assert!(matches!(both.settings(&made.id).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn tokens_open_what_their_scopes_and_the_role_permit() {
    let (_dir, store) = open();
    let port: Arc<dyn ControlStore> = store.clone();
    let clock = Arc::new(TickingClock::default());
    let accounts = Accounts::new(port, clock.clone());
    let owner = accounts.first_owner().await.unwrap();
    assert_eq!(accounts.first_owner().await.unwrap(), owner, "the second start finds it");
    let caller = Caller::system(owner.organization.clone());
    let viewer = accounts.create_user(&caller, "vera", Role::Viewer, None).await.unwrap();
    let again = accounts.create_user(&caller, "Vera", Role::Owner, None).await;
    assert!(matches!(again, Err(Error::UserExists(_))), "names differ by more than case");
    let (secret, token) = accounts.create_token(&caller, &viewer.id, "ci", Rights::ALL, None).await.unwrap();
    let identity = accounts.identify(secret.expose_secret()).await.unwrap().unwrap();
    assert_eq!(identity.rights, [Right::Read].into_iter().collect(), "a viewer's token only reads");
    assert_eq!(accounts.identify("mct_other").await.unwrap(), Err(Refused::Unknown));
    accounts.revoke_token(&caller, &token.id).await.unwrap();
    assert_eq!(accounts.identify(secret.expose_secret()).await.unwrap(), Err(Refused::Revoked));
    let end = Some(at(clock.now().as_micros() + 2));
    let (short, _) = accounts.create_token(&caller, &owner.id, "short", Rights::ALL, end).await.unwrap();
    assert_eq!(accounts.identify(short.expose_secret()).await.unwrap(), Err(Refused::Expired));
    let foreign = Caller::system("other".parse().unwrap());
    let refused = accounts.revoke_token(&foreign, &token.id).await;
    assert!(matches!(refused, Err(Error::NotFound("token"))));
    assert!(matches!(accounts.delete_user(&foreign, &viewer.id).await, Err(Error::NotFound("user"))));
    assert!(matches!(accounts.delete_user(&caller, &owner.id).await, Err(Error::LastOwner)));
    assert!(matches!(
        accounts.change_user(&caller, &owner.id, Some(Role::Viewer), None).await,
        Err(Error::LastOwner)
    ));
    let entries = accounts.audit(&caller, &PageQuery { limit: 50, cursor: None }).await.unwrap().items;
    let actions: Vec<String> =
        entries.iter().map(|entry| format!("{} {}", entry.action, entry.subject)).collect();
    assert_eq!(
        actions,
        [
            "create token short".to_owned(),
            format!("revoke token {}", token.id),
            "create token ci".into(),
            "create user vera".into(),
            "create user owner".into(),
        ],
        "a refused change leaves no entry"
    );
}

#[tokio::test]
async fn a_token_opens_the_console_whose_disk_is_full() {
    let (dir, store) = open();
    let port: Arc<dyn ControlStore> = store.clone();
    let accounts = Accounts::new(port, Arc::new(TickingClock::default()));
    let owner = accounts.first_owner().await.unwrap();
    let caller = Caller::system(owner.organization.clone());
    let (secret, _) = accounts.create_token(&caller, &owner.id, "ci", Rights::ALL, None).await.unwrap();
    let full =
        "CREATE TRIGGER full BEFORE UPDATE ON tokens BEGIN SELECT raise(FAIL, 'the disk is full'); END";
    rusqlite::Connection::open(dir.path().join("console.db")).unwrap().execute_batch(full).unwrap();
    let identity = accounts.identify(secret.expose_secret()).await.unwrap().unwrap();
    assert_eq!((identity.user, identity.token.last_used_at), (owner, None));
}

#[tokio::test]
async fn a_link_signs_in_once_and_a_new_password_ends_sessions() {
    let (_dir, store) = open();
    let port: Arc<dyn ControlStore> = store.clone();
    let accounts = Accounts::new(port, Arc::new(TickingClock::default()));
    let owner = accounts.first_owner().await.unwrap();
    let caller = Caller::system(owner.organization.clone());
    let (first, _) = accounts.create_link(&owner.id).await.unwrap();
    let (second, _) = accounts.create_link(&owner.id).await.unwrap();
    assert!(accounts.sign_in_by_link(first.expose_secret(), None).await.unwrap().is_none(), "replaced");
    let (session, _, user) = accounts.sign_in_by_link(second.expose_secret(), None).await.unwrap().unwrap();
    assert_eq!(user, owner);
    assert!(accounts.sign_in_by_link(second.expose_secret(), None).await.unwrap().is_none(), "used");
    assert!(accounts.identify(session.expose_secret()).await.unwrap().is_ok());
    assert_eq!(accounts.tokens(&caller).await.unwrap(), [], "a sign-in is not an API token");
    let password = Password::hash("correct horse battery").unwrap();
    accounts.change_user(&caller, &owner.id, None, Some(&password)).await.unwrap();
    assert_eq!(accounts.identify(session.expose_secret()).await.unwrap(), Err(Refused::Unknown));
    let (_, stored) = accounts.user_named("owner").await.unwrap().unwrap();
    assert!(stored.unwrap().matches("correct horse battery"));
}
