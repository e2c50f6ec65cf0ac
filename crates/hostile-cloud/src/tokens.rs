//! Credentials: access tokens and who may ask for them.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use jiff::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Reply};
use crate::options::Options;

/// The key of the service account that tests sign in with. It opens nothing but this stand-in.
const PRIVATE_KEY: &str = include_str!("../fixtures/service-account.pem");
/// Its public part, as PKCS #1.
const PUBLIC_KEY: &[u8] = include_bytes!("../fixtures/service-account.pub.der");
/// Where a signed assertion is exchanged for a token, below the base.
pub(crate) const TOKEN_PATH: &str = "oauth2.googleapis.com/token";
/// The longest life of an assertion that Google accepts.
const LONGEST_ASSERTION: i64 = 3600;

/// The account of Aura's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuraAccount {
    /// For `AURA_CLIENT_ID`.
    pub client_id: String,
    /// For `AURA_CLIENT_SECRET`.
    pub client_secret: String,
    /// For `AURA_TENANT_ID`.
    pub tenant_id: String,
}

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issuer {
    Google,
    Aura,
}

/// The tokens that were given out.
#[derive(Debug)]
pub(crate) struct Tokens {
    life: Duration,
    /// With whose they are and when they expire.
    given: BTreeMap<String, (Issuer, Timestamp)>,
    pub(crate) email: String,
    token_uri: String,
    pub(crate) aura: AuraAccount,
}

impl Tokens {
    pub(crate) fn new(options: &Options, base: &str) -> Self {
        Self {
            life: options.token_life,
            given: BTreeMap::new(),
            email: format!("deployer@{}.iam.gserviceaccount.com", options.project),
            token_uri: format!("{base}/{TOKEN_PATH}"),
            aura: AuraAccount {
                client_id: "aura-client".to_owned(),
                client_secret: format!("aura-secret-{}", options.seed),
                tenant_id: "6e6bbbe2-5678-5f8a-1234-b1f62f08b98f".to_owned(),
            },
        }
    }

    /// The contents of a credentials file of a service account.
    pub(crate) fn credentials(&self, project: &str) -> Value {
        json!({
            "type": "service_account",
            "project_id": project,
            "private_key_id": "fake",
            "private_key": PRIVATE_KEY,
            "client_email": self.email,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        })
    }

    fn give(&mut self, issuer: Issuer, now: Timestamp) -> Answer {
        let name = match issuer {
            Issuer::Google => "ya29",
            Issuer::Aura => "aura",
        };
        let token = format!("{name}.fake-{}", self.given.len());
        self.given.insert(token.clone(), (issuer, now + self.life));
        json!({"access_token": token, "expires_in": self.life.as_secs(), "token_type": "Bearer"}).into()
    }

    /// The metadata server's token.
    pub(crate) fn by_metadata(&mut self, now: Timestamp) -> Answer {
        self.give(Issuer::Google, now)
    }

    /// A token for a signed assertion.
    pub(crate) fn by_assertion(&mut self, form: &[(String, String)], now: Timestamp) -> Reply {
        let field = |name: &str| form.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value);
        if field("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
            return Err(Refusal::invalid("unsupported_grant_type"));
        }
        let claims = self.claims(field("assertion"), now);
        if claims.is_none_or(|claims| claims["aud"] != self.token_uri.as_str()) {
            return Err(Refusal::invalid("invalid_grant: Invalid JWT Signature."));
        }
        Ok(self.give(Issuer::Google, now))
    }

    /// A token of Aura, for a client id and secret.
    pub(crate) fn by_client(
        &mut self,
        authorization: &str,
        form: &[(String, String)],
        now: Timestamp,
    ) -> Reply {
        let wanted = format!("{}:{}", self.aura.client_id, self.aura.client_secret);
        let wanted = format!("Basic {}", BASE64.encode(wanted.as_bytes()));
        if authorization != wanted
            || !form.iter().any(|field| *field == ("grant_type".into(), "client_credentials".into()))
        {
            return Err(Refusal::new(401, "UNAUTHENTICATED", "unauthorized", "Unauthorized"));
        }
        Ok(self.give(Issuer::Aura, now))
    }

    /// Whether a request carries a valid token of this issuer: one that was given out, or a signed assertion itself.
    pub(crate) fn admits(&self, authorization: &str, issuer: Issuer, now: Timestamp) -> bool {
        let Some(token) = authorization.strip_prefix("Bearer ") else { return false };
        let given = self.given.get(token);
        given.is_some_and(|(whose, until)| *whose == issuer && *until > now)
            || issuer == Issuer::Google && self.claims(token, now).is_some()
    }

    /// The claims of an assertion that the service account has signed and that is valid now.
    fn claims(&self, token: &str, now: Timestamp) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, PUBLIC_KEY);
        key.verify(signed.as_bytes(), &BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?).ok()?;
        let claims: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()?;
        let (begin, end) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
        let valid = claims["iss"] == self.email.as_str()
            && end > now.as_second()
            && end - begin <= LONGEST_ASSERTION + 60;
        valid.then_some(claims)
    }
}
