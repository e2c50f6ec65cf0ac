use std::sync::Arc;

use memcloud_api::{Place, Problem};
use memcloud_control::access::Password;
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
        // The semaphore is never closed.
        let _place = self.0.acquire().await.map_err(|_| ApiError::defect())?;
        let hashed = compute("hashing a password", move || Password::hash(&password)).await;
        hashed.map_err(|_| ApiError::defect())?.map_err(|invalid| {
            let place = Place::body().at("password");
            Problem::new(place, "value_error", invalid.to_string(), "invalid_password").into()
        })
    }
}
