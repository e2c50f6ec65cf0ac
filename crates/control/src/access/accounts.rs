//! Users, their tokens and their sign-ins, for the callers of the console's API.

use std::net::IpAddr;
use std::sync::Arc;

use memcloud_domain::{Clock, Rights, Timestamp};
use secrecy::SecretString;

use super::{Password, Role, SignIn, Token, TokenHash, TokenKind, User};
use crate::store::{ControlStore, Page, PageQuery};
use crate::{Actor, AuditEntry, Caller, Error, OrganizationId, TokenId, UserId};

/// How long a sign-in lasts, and a link that signs in: twelve hours and a quarter of one, in microseconds.
const SESSION: i64 = 12 * 60 * 60 * 1_000_000;
const LINK: i64 = 15 * 60 * 1_000_000;
/// How exact the moment of a token's last use is: five minutes, in microseconds.
const USE_PRECISION: i64 = 5 * 60 * 1_000_000;

/// Who may use a console.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn ControlStore>,
    clock: Arc<dyn Clock>,
}

/// Who showed a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: User,
    /// The token.
    pub token: Token,
    /// What both permit.
    pub rights: Rights,
}

impl Identity {
    /// The user as a caller of the control plane, from this address.
    pub fn caller(&self, from: Option<IpAddr>) -> Caller {
        let User { id, name, organization, .. } = self.user.clone();
        let actor = Actor::User { user: id, name, token: Some(self.token.id.clone()) };
        Caller { organization, actor, from }
    }
}

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No token has this secret.
    #[error("this token is not known")]
    Unknown,
    /// Its time is over.
    #[error("this token has expired")]
    Expired,
    /// It was revoked.
    #[error("this token was revoked")]
    Revoked,
}

impl Accounts {
    /// The accounts in this store.
    pub fn new(store: Arc<dyn ControlStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The first owner of the console, who is made at its first start.
    pub async fn first_owner(&self) -> Result<User, Error> {
        let organization: OrganizationId = OrganizationId::random();
        let now = self.clock.now();
        let owner = User {
            id: UserId::random(),
            name: "owner".into(),
            organization: organization.clone(),
            role: Role::Owner,
            created_at: now,
        };
        let entry = Caller::system(organization).entry(now, "create user", "owner");
        self.store.first_owner(&owner, &entry).await
    }

    /// Who shows this token, if it opens anything now.
    pub async fn identify(&self, secret: &str) -> Result<Result<Identity, Refused>, Error> {
        let Some((token, user)) = self.store.token(&TokenHash::of(secret)).await? else {
            return Ok(Err(Refused::Unknown));
        };
        let now = self.clock.now();
        if token.revoked_at.is_some() {
            return Ok(Err(Refused::Revoked));
        }
        if token.expires_at.is_some_and(|end| end <= now) {
            return Ok(Err(Refused::Expired));
        }
        let is_noted = |used: Timestamp| now.as_micros() - used.as_micros() < USE_PRECISION;
        if !token.last_used_at.is_some_and(is_noted) {
            // On a full disk people still look.
            if let Err(error) = self.store.note_token_use(&token.id, now).await {
                tracing::debug!(%error, "cannot note the use of a token");
            }
        }
        let of_role = user.role.rights();
        let rights = token.scopes.iter().filter(|right| of_role.contains(*right)).collect();
        Ok(Ok(Identity { user, token, rights }))
    }

    /// Makes an API token of a user. Its secret is shown this once.
    pub async fn create_token(
        &self,
        caller: &Caller,
        user: &UserId,
        name: &str,
        scopes: Rights,
        expires_at: Option<Timestamp>,
    ) -> Result<(SecretString, Token), Error> {
        let token = self.token(user, TokenKind::Api, name, scopes, expires_at);
        self.keep_token(token, caller.entry(self.clock.now(), "create token", name)).await
    }

    /// The API tokens of the caller's organization.
    pub async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>, Error> {
        self.store.tokens(&caller.organization).await
    }

    /// Revokes a token, which from now on opens nothing.
    pub async fn revoke_token(&self, caller: &Caller, id: &TokenId) -> Result<(), Error> {
        let entry = caller.entry(self.clock.now(), "revoke token", id.as_str());
        self.store.revoke_token(&caller.organization, id, &entry).await
    }

    /// The users of the caller's organization, by name.
    pub async fn users(&self, caller: &Caller) -> Result<Vec<User>, Error> {
        self.store.users(&caller.organization).await
    }

    /// Refuses callers of other organizations than the first one, which runs the machine.
    pub async fn require_first_organization(&self, caller: &Caller) -> Result<(), Error> {
        let is_first = self.store.first_organization().await?.as_ref() == Some(&caller.organization);
        if is_first { Ok(()) } else { Err(Error::NotFirstOrganization) }
    }

    /// Makes another organization with its first owner, who signs in by a link.
    pub async fn create_organization(&self, caller: &Caller, owner: &str) -> Result<User, Error> {
        self.require_first_organization(caller).await?;
        let of_owner = Caller { organization: OrganizationId::random(), ..caller.clone() };
        let owner = self.create_user(&of_owner, owner, Role::Owner, None).await?;
        self.record(caller, "create organization", owner.organization.as_str()).await?;
        Ok(owner)
    }

    /// Makes a user.
    pub async fn create_user(
        &self,
        caller: &Caller,
        name: &str,
        role: Role,
        password: Option<&Password>,
    ) -> Result<User, Error> {
        let now = self.clock.now();
        let user = User {
            id: UserId::random(),
            name: name.into(),
            organization: caller.organization.clone(),
            role,
            created_at: now,
        };
        self.store.create_user(&user, password, &caller.entry(now, "create user", name)).await?;
        Ok(user)
    }

    /// Changes a user's role or password.
    pub async fn change_user(
        &self,
        caller: &Caller,
        id: &UserId,
        role: Option<Role>,
        password: Option<&Password>,
    ) -> Result<User, Error> {
        let entry = caller.entry(self.clock.now(), "change user", id.as_str());
        self.store.change_user(&caller.organization, id, role, password, &entry).await
    }

    /// Removes a user with its tokens and sign-ins.
    pub async fn delete_user(&self, caller: &Caller, id: &UserId) -> Result<(), Error> {
        let entry = caller.entry(self.clock.now(), "delete user", id.as_str());
        self.store.delete_user(&caller.organization, id, &entry).await
    }

    /// Makes a link by which a user signs in once. Returns its secret and until when it works.
    pub async fn create_link(&self, user: &UserId) -> Result<(SecretString, Timestamp), Error> {
        let expires_at = later(self.clock.now(), LINK);
        let (secret, hash) = TokenHash::make();
        self.store.create_sign_in(&SignIn { user: user.clone(), expires_at }, &hash).await?;
        Ok((secret, expires_at))
    }

    /// Signs in by a link, which is used up. `None` if it is not known, was used or its time is over.
    pub async fn sign_in_by_link(
        &self,
        secret: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<(SecretString, Token, User)>, Error> {
        match self.store.use_sign_in(&TokenHash::of(secret), self.clock.now()).await? {
            Some(user) => Ok(Some(self.open_session(user, from).await?)),
            None => Ok(None),
        }
    }

    /// Opens a session of a user whose identity is proven.
    pub async fn open_session(
        &self,
        user: User,
        from: Option<IpAddr>,
    ) -> Result<(SecretString, Token, User), Error> {
        let now = self.clock.now();
        let token =
            self.token(&user.id, TokenKind::Session, "sign-in", Rights::ALL, Some(later(now, SESSION)));
        let actor = Actor::User { user: user.id.clone(), name: user.name.clone(), token: None };
        let caller = Caller { organization: user.organization.clone(), actor, from };
        let (secret, token) =
            self.keep_token(token, caller.entry(now, "sign in", user.name.as_str())).await?;
        Ok((secret, token, user))
    }

    /// The user of this name with the hash of its password.
    pub async fn user_named(&self, name: &str) -> Result<Option<(User, Option<Password>)>, Error> {
        self.store.user_named(name).await
    }

    /// Keeps an entry about something that changed nothing, such as a refused sign-in.
    pub async fn record(&self, caller: &Caller, action: &str, subject: &str) -> Result<(), Error> {
        self.store.record(&caller.entry(self.clock.now(), action, subject)).await
    }

    /// What was changed in the caller's organization, newest first.
    pub async fn audit(&self, caller: &Caller, page: &PageQuery) -> Result<Page<AuditEntry>, Error> {
        self.store.audit(&caller.organization, page).await
    }

    fn token(
        &self,
        user: &UserId,
        kind: TokenKind,
        name: &str,
        scopes: Rights,
        expires_at: Option<Timestamp>,
    ) -> Token {
        Token {
            id: TokenId::random(),
            user: user.clone(),
            kind,
            name: name.into(),
            scopes,
            created_at: self.clock.now(),
            last_used_at: None,
            expires_at,
            revoked_at: None,
        }
    }

    async fn keep_token(&self, token: Token, entry: AuditEntry) -> Result<(SecretString, Token), Error> {
        let (secret, hash) = TokenHash::make();
        self.store.create_token(&token, &hash, &entry).await?;
        Ok((secret, token))
    }
}

/// A moment that is this many microseconds later.
fn later(moment: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(moment.as_micros().saturating_add(micros)).unwrap_or(moment)
}
