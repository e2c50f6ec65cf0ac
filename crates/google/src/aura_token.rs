//! The tokens of Neo4j Aura.

use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::exchange::{Failure, exchange};
use crate::retry::Retry;
use crate::{Api, Error, ErrorKind};

const API: Api = Api::Aura;
/// A token is renewed this long before it expires.
const MARGIN: Duration = Duration::from_mins(2);

/// A key of the Aura API. It has all rights of the user that it belongs to.
#[derive(Clone, Debug)]
pub struct AuraKey {
    /// The client id.
    pub id: String,
    /// The client secret.
    pub secret: SecretString,
}

/// The token of a key, kept until shortly before it expires.
#[derive(Debug)]
pub(crate) struct Tokens {
    key: AuraKey,
    kept: Mutex<Option<(HeaderValue, Instant)>>,
}

impl Tokens {
    pub(crate) fn new(key: AuraKey) -> Self {
        Self { key, kept: Mutex::default() }
    }

    /// The header that authorizes a call.
    /// `url` is where tokens are given out.
    pub(crate) async fn bearer(
        &self,
        http: &reqwest::Client,
        url: Url,
        limit: Duration,
    ) -> Result<HeaderValue, Failure> {
        #[derive(Deserialize)]
        struct Token {
            access_token: SecretString,
            expires_in: u64,
        }
        let mut kept = self.kept.lock().await;
        if let Some((bearer, _)) = kept.as_ref().filter(|(_, until)| *until > Instant::now()) {
            return Ok(bearer.clone());
        }
        let request = http.post(url).basic_auth(&self.key.id, Some(self.key.secret.expose_secret()));
        let request = request.form(&[("grant_type", "client_credentials")]).timeout(limit).build();
        let unusable = |problem: &str| Failure::last(Error::unreadable(API, problem));
        let request = request.map_err(|_| unusable("a key that cannot be sent"))?;
        let answer = exchange(http, API, request).await.map_err(refused_key)?;
        let token: Token = serde_json::from_slice(&answer).map_err(|_| unusable("no token"))?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.access_token.expose_secret()));
        let mut bearer = bearer.map_err(|_| unusable("a token that is not a header"))?;
        bearer.set_sensitive(true);
        let lives = Duration::from_secs(token.expires_in).saturating_sub(MARGIN);
        *kept = Some((bearer.clone(), Instant::now() + lives));
        Ok(bearer)
    }

    /// Forgets the token: the next call gets another one.
    pub(crate) async fn forget(&self) {
        *self.kept.lock().await = None;
    }
}

/// A request for a token that is refused is one with a wrong key.
fn refused_key(failure: Failure) -> Failure {
    match failure.error.kind {
        ErrorKind::Invalid | ErrorKind::Unauthenticated | ErrorKind::Forbidden { .. } => {
            let message = "Neo4j Aura refused the client id and secret";
            let hint = "check AURA_CLIENT_ID and AURA_CLIENT_SECRET";
            Failure::last(Error::new(ErrorKind::Credentials, message, hint))
        }
        // A lost token can be asked for again, whatever the call is that needs it.
        _ if failure.retry == Retry::IfIdempotent => Failure { retry: Retry::Refused, ..failure },
        _ => failure,
    }
}
