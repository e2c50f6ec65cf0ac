//! The keys that an instance made: see [`KeyStore`]. Keys are few and rarely change, so whatever makes or revokes one
//! locks the whole table against others that do.

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Object};
use memcloud_domain::{ApiKey, EpisodeId, Error, KeyHash, KeyId, Space, Timestamp};
use memcloud_ports::{AdminRule, Damage, DamagedRow, KeyStore, Keys, Revocation};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use crate::PostgresStore;
use crate::error::WorkError;
use crate::query::Query;

const LOCK: &str = "LOCK TABLE memcloud.api_keys IN SHARE ROW EXCLUSIVE MODE";

#[async_trait]
impl KeyStore for PostgresStore {
    async fn keys(&self) -> Result<Keys, Error> {
        let all = |client: Object| async move { all(&client, &self.damage).await };
        self.run_idempotent("reading keys", all).await
    }

    async fn create_key(&self, key: ApiKey, rule: AdminRule) -> Result<bool, Error> {
        self.run("keeping a key", |client| create(client, &self.damage, &key, rule)).await
    }

    async fn put_keys(&self, keys: &[ApiKey]) -> Result<(), Error> {
        self.run_idempotent("keeping keys", |client| put(client, keys)).await
    }

    async fn revoke_key(&self, id: &KeyId, at: Timestamp, rule: AdminRule) -> Result<Revocation, Error> {
        self.run_idempotent("revoking a key", |client| revoke(client, &self.damage, id, at, rule)).await
    }

    async fn note_key_use(&self, id: &KeyId, at: Timestamp) -> Result<(), Error> {
        let note = |client: Object| async move {
            let note = "UPDATE memcloud.api_keys SET last_used_at = greatest(last_used_at, $2) WHERE id = $1";
            client.run(note, &[&id.as_str(), &at.as_micros()]).await?;
            Ok(())
        };
        self.run_idempotent("noting the use of a key", note).await
    }

    async fn prune_keys(&self, before: Timestamp) -> Result<u64, Error> {
        let prune = |client: Object| async move {
            let delete = "DELETE FROM memcloud.api_keys WHERE revoked_at < $1 OR expires_at < $1";
            Ok(client.execute(delete, &[&before.as_micros()]).await?)
        };
        self.run_idempotent("pruning keys", prune).await
    }
}

/// All keys. Those that cannot be read are noted and left out.
pub(crate) async fn all(client: &impl GenericClient, damage: &Damage<EpisodeId>) -> Result<Keys, WorkError> {
    let select = "SELECT id, name, hash, rights, spaces, created_at, last_used_at, expires_at, revoked_at
                  FROM memcloud.api_keys ORDER BY created_at, id";
    let mut keys = Keys::default();
    for row in client.rows(select, &[]).await? {
        if let Some(key) = key(&row) {
            keys.readable.push(key);
        } else {
            keys.has_unreadable = true;
            damage.note_row(DamagedRow::Key(row.get(0)));
        }
    }
    Ok(keys)
}

async fn create(
    mut client: Object,
    damage: &Damage<EpisodeId>,
    key: &ApiKey,
    rule: AdminRule,
) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    tx.batch_execute(LOCK).await?;
    let allowed = all(&tx, damage).await?.can_add(key, rule);
    if allowed {
        insert(&tx, key).await?;
    }
    tx.commit().await?;
    Ok(allowed)
}

async fn put(mut client: Object, keys: &[ApiKey]) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    tx.batch_execute(LOCK).await?;
    for key in keys {
        insert(&tx, key).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Keeps a key as it is. One that is known is only revoked, if this one is.
async fn insert(tx: &impl GenericClient, key: &ApiKey) -> Result<(), WorkError> {
    let micros = |time: Option<Timestamp>| time.map(Timestamp::as_micros);
    tx.execute(
        "INSERT INTO memcloud.api_keys
             (id, name, hash, rights, spaces, created_at, last_used_at, expires_at, revoked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO UPDATE SET revoked_at = coalesce(memcloud.api_keys.revoked_at, excluded.revoked_at)",
        &[
            &key.id.as_str(),
            &key.name,
            &key.hash.0.as_slice(),
            &key.rights.to_string(),
            &key.spaces.as_ref().map(Json),
            &key.created_at.as_micros(),
            &micros(key.last_used_at),
            &micros(key.expires_at),
            &micros(key.revoked_at),
        ],
    )
    .await?;
    Ok(())
}

async fn revoke(
    mut client: Object,
    damage: &Damage<EpisodeId>,
    id: &KeyId,
    at: Timestamp,
    rule: AdminRule,
) -> Result<Revocation, WorkError> {
    let tx = client.transaction().await?;
    tx.batch_execute(LOCK).await?;
    let revocation = all(&tx, damage).await?.revoke(id, at, rule);
    if let Revocation::Revoked(key) = &revocation {
        insert(&tx, key).await?;
    }
    tx.commit().await?;
    Ok(revocation)
}

fn key(row: &Row) -> Option<ApiKey> {
    // A time that cannot be read is not one that is missing: without it, an ended key would be live.
    let time = |column| match row.get::<_, Option<i64>>(column) {
        Some(micros) => Timestamp::from_micros(micros).map(Some),
        None => Some(None),
    };
    let hash: Vec<u8> = row.get(2);
    Some(ApiKey {
        id: row.get::<_, &str>(0).parse().ok()?,
        name: row.get(1),
        hash: KeyHash(hash.try_into().ok()?),
        rights: row.get::<_, &str>(3).parse().ok()?,
        spaces: row.try_get::<_, Option<Json<Vec<Space>>>>(4).ok()?.map(|Json(spaces)| spaces),
        created_at: time(5)??,
        last_used_at: time(6)?,
        expires_at: time(7)?,
        revoked_at: time(8)?,
    })
}
