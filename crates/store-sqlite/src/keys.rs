//! The keys that an instance made: see [`KeyStore`].

use std::sync::Arc;

use async_trait::async_trait;
use memcloud_domain::{ApiKey, Error, KeyHash, KeyId, Space, Timestamp};
use memcloud_ports::{AdminRule, Damage, DamagedRow, KeyStore, Keys, Revocation};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use crate::error::{WorkError, is_damage};
use crate::{SqliteStore, read};

#[async_trait]
impl KeyStore for SqliteStore {
    async fn keys(&self) -> Result<Keys, Error> {
        self.readers.read_now("reading keys", |c| all(c, &self.damage))
    }

    async fn create_key(&self, key: ApiKey, rule: AdminRule) -> Result<bool, Error> {
        let damage = Arc::clone(&self.damage);
        self.writer.write("keeping a key", move |tx| create(tx, &damage, &key, rule)).await
    }

    async fn put_keys(&self, keys: &[ApiKey]) -> Result<(), Error> {
        let keys = keys.to_vec();
        let put = move |tx: &Connection| keys.iter().try_for_each(|key| insert(tx, key));
        self.writer.write("keeping keys", put).await
    }

    async fn revoke_key(&self, id: &KeyId, at: Timestamp, rule: AdminRule) -> Result<Revocation, Error> {
        let (id, damage) = (id.clone(), Arc::clone(&self.damage));
        self.writer.delete("revoking a key", move |tx| revoke(tx, &damage, &id, at, rule)).await
    }

    async fn note_key_use(&self, id: &KeyId, at: Timestamp) -> Result<(), Error> {
        let id = id.clone();
        let note = move |tx: &Connection| {
            tx.execute(
                "UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND ifnull(last_used_at, ?2) <= ?2",
                params![id.as_str(), at.as_micros()],
            )?;
            Ok(())
        };
        self.writer.write("noting the use of a key", note).await
    }

    async fn prune_keys(&self, before: Timestamp) -> Result<u64, Error> {
        let prune = move |tx: &Connection| {
            let before = before.as_micros();
            Ok(tx.execute("DELETE FROM api_keys WHERE revoked_at < ?1 OR expires_at < ?1", [before])? as u64)
        };
        self.writer.write("pruning keys", prune).await
    }
}

/// All keys. One that cannot be read is noted and left out; where a page cannot be read, none is.
pub(crate) fn all(connection: &Connection, damage: &Damage<i64>) -> Result<Keys, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT id, name, hash, rights, spaces, created_at, last_used_at, expires_at, revoked_at
         FROM api_keys ORDER BY created_at, id",
    )?;
    let (mut rows, mut keys) = (select.query([])?, Keys::default());
    while let Some(row) = rows.next()? {
        match key(row) {
            Ok(key) => keys.readable.push(key),
            Err(error) if is_damage(&error) => {
                keys.has_unreadable = true;
                let id = row.get_ref(0)?.as_bytes().map(String::from_utf8_lossy).unwrap_or_default();
                damage.note_row(DamagedRow::Key(id.into_owned()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(keys)
}

fn create(tx: &Connection, damage: &Damage<i64>, key: &ApiKey, rule: AdminRule) -> Result<bool, WorkError> {
    let allowed = all(tx, damage)?.can_add(key, rule);
    if allowed {
        insert(tx, key)?;
    }
    Ok(allowed)
}

/// Keeps a key as it is. One that is known is only revoked, if this one is.
fn insert(tx: &Connection, key: &ApiKey) -> Result<(), WorkError> {
    let spaces = key.spaces.as_ref().map(serde_json::to_string).transpose();
    let spaces = spaces.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    tx.execute(
        "INSERT INTO api_keys (id, name, hash, rights, spaces, created_at, last_used_at, expires_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET revoked_at = ifnull(revoked_at, excluded.revoked_at)",
        params![
            key.id.as_str(),
            key.name,
            key.hash.0,
            key.rights.to_string(),
            spaces,
            key.created_at.as_micros(),
            key.last_used_at.map(Timestamp::as_micros),
            key.expires_at.map(Timestamp::as_micros),
            key.revoked_at.map(Timestamp::as_micros),
        ],
    )?;
    Ok(())
}

fn revoke(
    tx: &Connection,
    damage: &Damage<i64>,
    id: &KeyId,
    at: Timestamp,
    rule: AdminRule,
) -> Result<Revocation, WorkError> {
    let revocation = all(tx, damage)?.revoke(id, at, rule);
    if let Revocation::Revoked(key) = &revocation {
        insert(tx, key)?;
    }
    Ok(revocation)
}

fn key(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    // A time that cannot be read is not one that is missing: without it, an ended key would be live.
    let time = |column| match row.get::<_, Option<i64>>(column)? {
        Some(_) => read::moment(row, column).map(Some),
        None => Ok(None),
    };
    let spaces = row.get::<_, Option<String>>(4)?;
    let spaces = spaces.map(|json| serde_json::from_str::<Vec<Space>>(&json)).transpose();
    Ok(ApiKey {
        id: row.get::<_, String>(0)?.parse().map_err(|error| unreadable(0, error))?,
        name: row.get(1)?,
        hash: KeyHash(row.get(2)?),
        rights: row.get::<_, String>(3)?.parse().map_err(|error| unreadable(3, error))?,
        spaces: spaces.map_err(|error| unreadable(4, error))?,
        created_at: read::moment(row, 5)?,
        last_used_at: time(6)?,
        expires_at: time(7)?,
        revoked_at: time(8)?,
    })
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
