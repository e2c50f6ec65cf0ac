use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use memcloud_control::access::{Accounts, Password, PasswordSignIn, Role, SignInError};
use memcloud_control::{Caller, ControlStore, PageQuery};
use memcloud_control_store::SqliteControlStore;
use secrecy::ExposeSecret;

use crate::scripted::TickingClock;

const PASSWORD: &str = "correct horse battery";
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 7));
const ATTACKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// A console with an owner, and the users `ann`, who has a password, and `bob`, who has none.
async fn console() -> (tempfile::TempDir, Accounts, PasswordSignIn, Caller) {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn ControlStore> =
        Arc::new(SqliteControlStore::open(&dir.path().join("console.db")).unwrap());
    let clock = Arc::new(TickingClock::default());
    let accounts = Accounts::new(store, clock.clone());
    let caller = Caller::system(accounts.first_owner().await.unwrap().organization);
    let password = Password::hash(PASSWORD).unwrap();
    accounts.create_user(&caller, "ann", Role::Member, Some(&password)).await.unwrap();
    accounts.create_user(&caller, "bob", Role::Member, None).await.unwrap();
    (dir, accounts.clone(), PasswordSignIn::new(accounts, clock), caller)
}

#[tokio::test]
async fn the_right_password_opens_a_session_of_its_user() {
    let (_dir, accounts, sign_in, _) = console().await;
    let (secret, _, user) = sign_in.sign_in("ann", PASSWORD.into(), HOME).await.unwrap();
    let identity = accounts.identify(secret.expose_secret()).await.unwrap().unwrap();
    assert_eq!((identity.user, user.name.as_str()), (user.clone(), "ann"));
}

#[tokio::test]
async fn unknown_names_missing_passwords_and_wrong_ones_are_answered_alike() {
    let (_dir, _, sign_in, _) = console().await;
    for (name, password) in [("ann", "wrong password"), ("bob", PASSWORD), ("carl", PASSWORD), ("", "")] {
        let refused = sign_in.sign_in(name, password.into(), HOME).await.unwrap_err();
        assert!(matches!(refused, SignInError::Wrong), "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn a_thousand_wrong_passwords_are_slowed_and_recorded_and_the_owner_still_signs_in() {
    let (_dir, accounts, sign_in, caller) = console().await;
    let attempts =
        (0..1_000).map(|number| sign_in.sign_in("ann", format!("guess {number:04}").into(), ATTACKER));
    let mut verified = 0;
    for attempt in join_all(attempts).await {
        match attempt.unwrap_err() {
            SignInError::Wrong => verified += 1,
            refused => assert_eq!(refused.retry_after(), Some(1), "{refused:?}"),
        }
    }
    assert_eq!(verified, 5);
    let page = PageQuery { limit: 100, cursor: None };
    let audit = accounts.audit(&caller, &page).await.unwrap().items;
    let refused: Vec<_> = audit.iter().filter(|entry| entry.action == "refused sign-in").collect();
    assert_eq!(refused.len(), 5);
    assert!(refused.iter().all(|entry| entry.from == Some(ATTACKER) && entry.subject == "ann"));
    let late = sign_in.sign_in("ann", PASSWORD.into(), ATTACKER).await.unwrap_err();
    assert!(matches!(late, SignInError::TooMany(_)), "not even the right one: {late:?}");
    sign_in.sign_in("ann", PASSWORD.into(), HOME).await.unwrap();
}
