use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::Clock;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::{Accounts, Password, Throttle, Token, User};
use crate::{Actor, Caller, Error};

/// How many passwords are verified at once: each takes 19 MiB.
const AT_ONCE: usize = 2;

/// Signs users in with their passwords.
///
/// Attempts are slowed down by a [`Throttle`]. A wrong password is logged with the address that it came from, and is in the
/// audit log of the user's organization. A name without a user, and a user without a password, take as long as a wrong
/// password and are answered alike.
pub struct PasswordSignIn {
    accounts: Accounts,
    throttle: Throttle,
    places: Semaphore,
}

/// Why a user was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The name or the password is wrong. It is not said which.
    #[error("the name or the password is wrong")]
    Wrong,
    /// There were too many wrong passwords: the next attempt must wait this long.
    #[error("there were too many wrong passwords; try again in {} s", whole_seconds(*.0))]
    TooMany(Duration),
    /// What the control plane keeps cannot be read.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl SignInError {
    /// The seconds of `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany(wait) => Some(whole_seconds(*wait)),
            _ => None,
        }
    }
}

/// Seconds, rounded up.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1_000) as u64
}

impl PasswordSignIn {
    /// Sign-ins to these accounts.
    pub fn new(accounts: Accounts, clock: Arc<dyn Clock>) -> Self {
        Self { accounts, throttle: Throttle::new(clock), places: Semaphore::new(AT_ONCE) }
    }

    /// Opens a session of the user of this name and password. Its secret is shown this once.
    pub async fn sign_in(
        &self,
        name: &str,
        password: SecretString,
        from: IpAddr,
    ) -> Result<(SecretString, Token, User), SignInError> {
        let user = self.prove(name, password, from).await?;
        Ok(self.accounts.open_session(user, Some(from)).await?)
    }

    /// The user of this name, if this is the password.
    pub async fn prove(&self, name: &str, password: SecretString, from: IpAddr) -> Result<User, SignInError> {
        let attempts = self.throttle.admit(name, from).map_err(SignInError::TooMany)?;
        let known = self.accounts.user_named(name).await?;
        let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), hash));
        let matches = self.verify(hash, password).await?;
        match user {
            Some(user) if matches => {
                self.throttle.succeeded(name, from);
                Ok(user)
            }
            user => {
                tracing::warn!(address = %from, attempts, "refused a sign-in");
                if let Some(user) = user {
                    self.record(user, from).await?;
                }
                Err(SignInError::Wrong)
            }
        }
    }

    /// Whether this is the password; as slow when there is none.
    async fn verify(&self, hash: Option<Password>, password: SecretString) -> Result<bool, Error> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Store {
            doing: "verifying a password",
            source,
        };
        let _place = self.places.acquire().await.map_err(|closed| failed(closed.into()))?;
        let compute = move || {
            let password = password.expose_secret();
            hash.map_or_else(|| Password::matches_nothing(password), |hash| hash.matches(password))
        };
        memcloud_tasks::compute("verifying a password", compute)
            .await
            .map_err(|unfinished| failed(unfinished.into()))
    }

    async fn record(&self, user: User, from: IpAddr) -> Result<(), Error> {
        let actor = Actor::User { user: user.id, name: user.name.clone(), token: None };
        let caller = Caller { organization: user.organization, actor, from: Some(from) };
        self.accounts.record(&caller, "refused sign-in", &user.name).await
    }
}
