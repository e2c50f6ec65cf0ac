use std::sync::Arc;

use memcloud_api::{Place, Problem};
use memcloud_control::access::{InvalidPassword, Password};
use memcloud_http::ApiError;
use memcloud_tasks::compute;
use tokio::sync::Semaphore;

/// How many passwords are hashed at once: each takes 19 MiB for tens of milliseconds.
const AT_ONCE: usize = 2;

/// Hashes passwords on threads that serve no requests.
#[derive(Clone)]
pub(crate) struct Passwords(Arc<Semaphore>);

impl Passwords {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// The hash of a password that the body of a request gives.
    pub(crate) async fn hash(&self, password: String) -> Result<Password, ApiError> {
        let hashed = self.computed(move || Password::hash(&password)).await?;
        hashed.map_err(|invalid: InvalidPassword| {
            let place = Place::body().at("password");
            Problem::new(place, "value_error", invalid.to_string(), "invalid_password").into()
        })
    }

    /// Whether this is the password, where there is one. Takes equally long where there is none.
    pub(crate) async fn matches(&self, known: Option<Password>, password: String) -> Result<bool, ApiError> {
        let matches = move || {
            let Some(known) = known else {
                Password::matches_nothing(&password);
                return false;
            };
            known.matches(&password)
        };
        self.computed(matches).await
    }

    async fn computed<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        // The semaphore is never closed.
        let _place = self.0.acquire().await.map_err(|_| ApiError::defect())?;
        compute("hashing a password", computation).await.map_err(|_| ApiError::defect())
    }
}
