use async_trait::async_trait;
use memcloud_control::access::{Password, Role, SignIn, Token, TokenHash, TokenKind, User};
use memcloud_control::{Actor, AuditEntry, Error, OrganizationId, TokenId, UserId, UserStore};
use memcloud_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::SqliteControlStore;
use crate::audit::record;
use crate::error::{WorkError, is_taken};
use crate::prune::prune_tokens;
use crate::row::{maybe_time, micros, parsed, time, unreadable};

#[async_trait]
impl UserStore for SqliteControlStore {
    async fn first_owner(&self, owner: &User, audit: &AuditEntry) -> Result<User, Error> {
        let (owner, audit) = (owner.clone(), audit.clone());
        self.work("making the first owner", move |tx| {
            let first = "SELECT * FROM users WHERE role = 'owner' ORDER BY created_at, id LIMIT 1";
            if let Some(known) = tx.query_row(first, [], user).optional()? {
                return Ok(known);
            }
            insert(tx, &owner, None)?;
            record(tx, &audit)?;
            Ok(owner)
        })
        .await
    }

    async fn first_organization(&self) -> Result<Option<OrganizationId>, Error> {
        self.work("reading the first organization", move |tx| {
            let first = "SELECT id FROM organizations ORDER BY created_at, id LIMIT 1";
            Ok(tx.query_row(first, [], |row| parsed(row, "id")).optional()?)
        })
        .await
    }

    async fn create_user(
        &self,
        user: &User,
        password: Option<&Password>,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let (user, password, audit) = (user.clone(), password.cloned(), audit.clone());
        self.work("keeping a new user", move |tx| {
            insert(tx, &user, password.as_ref())?;
            record(tx, &audit)
        })
        .await
    }

    async fn users(&self, organization: &OrganizationId) -> Result<Vec<User>, Error> {
        let organization = organization.clone();
        self.work("reading users", move |tx| {
            let mut select =
                tx.prepare_cached("SELECT * FROM users WHERE organization = ?1 ORDER BY name")?;
            Ok(select.query_map([organization.as_str()], user)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn user_named(&self, name: &str) -> Result<Option<(User, Option<Password>)>, Error> {
        let name = name.to_owned();
        self.work("reading a user", move |tx| {
            let mut select = tx.prepare_cached("SELECT * FROM users WHERE name = ?1")?;
            let found = select.query_row([name], |row| {
                let password: Option<String> = row.get("password")?;
                Ok((user(row)?, password.map(Password::from_stored)))
            });
            Ok(found.optional()?)
        })
        .await
    }

    async fn change_user(
        &self,
        organization: &OrganizationId,
        id: &UserId,
        role: Option<Role>,
        password: Option<&Password>,
        audit: &AuditEntry,
    ) -> Result<User, Error> {
        let (organization, id) = (organization.clone(), id.clone());
        let (password, audit) = (password.cloned(), audit.clone());
        self.work("changing a user", move |tx| {
            tx.execute(
                "UPDATE users SET role = ifnull(?3, role), password = ifnull(?4, password)
                 WHERE id = ?1 AND organization = ?2",
                params![
                    id.as_str(),
                    organization.as_str(),
                    role.map(<&str>::from),
                    password.as_ref().map(Password::as_stored)
                ],
            )?;
            let changed = read(tx, &organization, &id)?;
            require_owner(tx, &organization)?;
            if password.is_some() {
                let own = if let Actor::User { token, .. } = &audit.actor { token.as_ref() } else { None };
                tx.execute(
                    "DELETE FROM tokens WHERE user = ?1 AND kind = 'session' AND id IS NOT ?2",
                    params![id.as_str(), own.map(TokenId::as_str)],
                )?;
            }
            record(tx, &audit)?;
            Ok(changed)
        })
        .await
    }

    async fn delete_user(
        &self,
        organization: &OrganizationId,
        id: &UserId,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let (organization, id, audit) = (organization.clone(), id.clone(), audit.clone());
        self.work("deleting a user", move |tx| {
            read(tx, &organization, &id)?;
            tx.execute("DELETE FROM users WHERE id = ?1", [id.as_str()])?;
            require_owner(tx, &organization)?;
            record(tx, &audit)
        })
        .await
    }

    async fn create_token(&self, token: &Token, hash: &TokenHash, audit: &AuditEntry) -> Result<(), Error> {
        let (token, hash, audit) = (token.clone(), *hash, audit.clone());
        self.work("keeping a token", move |tx| {
            insert_token(tx, &token, &hash)?;
            prune_tokens(tx, token.created_at)?;
            record(tx, &audit)
        })
        .await
    }

    async fn token(&self, hash: &TokenHash) -> Result<Option<(Token, User)>, Error> {
        let hash = *hash;
        self.work("reading a token", move |tx| {
            let mut select = tx.prepare_cached("SELECT * FROM tokens WHERE hash = ?1")?;
            let Some(token) = select.query_row([hash.0], token).optional()? else { return Ok(None) };
            let mut select = tx.prepare_cached("SELECT * FROM users WHERE id = ?1")?;
            let user = select.query_row([token.user.as_str()], user)?;
            Ok(Some((token, user)))
        })
        .await
    }

    async fn tokens(&self, organization: &OrganizationId) -> Result<Vec<Token>, Error> {
        let organization = organization.clone();
        self.work("reading tokens", move |tx| {
            let mut select = tx.prepare_cached(
                "SELECT * FROM tokens
                 WHERE kind = 'api' AND user IN (SELECT id FROM users WHERE organization = ?1)
                 ORDER BY created_at, id",
            )?;
            Ok(select.query_map([organization.as_str()], token)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revoke_token(
        &self,
        organization: &OrganizationId,
        id: &TokenId,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let (organization, id, audit) = (organization.clone(), id.clone(), audit.clone());
        self.work("revoking a token", move |tx| {
            let revoked = tx.execute(
                "UPDATE tokens SET revoked_at = ifnull(revoked_at, ?3)
                 WHERE id = ?1 AND user IN (SELECT id FROM users WHERE organization = ?2)",
                params![id.as_str(), organization.as_str(), audit.at.as_micros()],
            )?;
            if revoked == 0 {
                return Err(Error::NotFound("token").into());
            }
            record(tx, &audit)
        })
        .await
    }

    async fn note_token_use(&self, id: &TokenId, at: Timestamp) -> Result<(), Error> {
        let id = id.clone();
        self.work("noting the use of a token", move |tx| {
            tx.execute(
                "UPDATE tokens SET last_used_at = ?2 WHERE id = ?1",
                params![id.as_str(), at.as_micros()],
            )?;
            Ok(())
        })
        .await
    }

    async fn create_sign_in(&self, link: &SignIn, hash: &TokenHash) -> Result<(), Error> {
        let (link, hash) = (link.clone(), *hash);
        self.work("keeping a sign-in link", move |tx| {
            tx.execute(
                "REPLACE INTO sign_ins (user, hash, expires_at) VALUES (?1, ?2, ?3)",
                params![link.user.as_str(), hash.0, link.expires_at.as_micros()],
            )?;
            Ok(())
        })
        .await
    }

    async fn use_sign_in(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<User>, Error> {
        let hash = *hash;
        self.work("using a sign-in link", move |tx| {
            let used = tx
                .query_row(
                    "DELETE FROM sign_ins WHERE hash = ?1 AND expires_at > ?2 RETURNING user",
                    params![hash.0, now.as_micros()],
                    |row| row.get::<_, String>(0),
                )
                .optional()?;
            let Some(id) = used else { return Ok(None) };
            Ok(Some(tx.query_row("SELECT * FROM users WHERE id = ?1", [id], user)?))
        })
        .await
    }
}

fn insert(tx: &Connection, user: &User, password: Option<&Password>) -> Result<(), WorkError> {
    tx.execute(
        "INSERT OR IGNORE INTO organizations (id, created_at) VALUES (?1, ?2)",
        params![user.organization.as_str(), user.created_at.as_micros()],
    )?;
    let inserted = tx.execute(
        "INSERT INTO users (id, organization, name, role, password, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            user.id.as_str(),
            user.organization.as_str(),
            user.name,
            <&str>::from(user.role),
            password.map(Password::as_stored),
            user.created_at.as_micros(),
        ],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if is_taken(&error) => Err(Error::UserExists(user.name.clone()).into()),
        Err(error) => Err(error.into()),
    }
}

fn insert_token(tx: &Connection, token: &Token, hash: &TokenHash) -> Result<(), WorkError> {
    tx.execute(
        "INSERT INTO tokens (id, user, kind, name, hash, scopes, created_at, last_used_at, expires_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            token.id.as_str(),
            token.user.as_str(),
            <&str>::from(token.kind),
            token.name,
            hash.0,
            token.scopes.to_string(),
            token.created_at.as_micros(),
            micros(token.last_used_at),
            micros(token.expires_at),
            micros(token.revoked_at),
        ],
    )?;
    Ok(())
}

fn read(tx: &Connection, organization: &OrganizationId, id: &UserId) -> Result<User, WorkError> {
    let select = "SELECT * FROM users WHERE id = ?1 AND organization = ?2";
    let found = tx.query_row(select, [id.as_str(), organization.as_str()], user).optional()?;
    Ok(found.ok_or(Error::NotFound("user"))?)
}

/// Refuses a change after which an organization has no owner. The transaction is then rolled back.
fn require_owner(tx: &Connection, organization: &OrganizationId) -> Result<(), WorkError> {
    let owners = "SELECT EXISTS (SELECT 1 FROM users WHERE organization = ?1 AND role = 'owner')";
    if tx.query_row(owners, [organization.as_str()], |row| row.get(0))? {
        Ok(())
    } else {
        Err(Error::LastOwner.into())
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: parsed(row, "id")?,
        name: row.get("name")?,
        organization: parsed(row, "organization")?,
        role: parsed(row, "role")?,
        created_at: time(row, "created_at")?,
    })
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: parsed(row, "id")?,
        user: parsed(row, "user")?,
        kind: parsed::<TokenKind>(row, "kind")?,
        name: row.get("name")?,
        scopes: parsed(row, "scopes").map_err(|_| unreadable("scopes: unknown".into()))?,
        created_at: time(row, "created_at")?,
        last_used_at: maybe_time(row, "last_used_at")?,
        expires_at: maybe_time(row, "expires_at")?,
        revoked_at: maybe_time(row, "revoked_at")?,
    })
}
