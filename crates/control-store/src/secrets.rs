use async_trait::async_trait;
use memcloud_control::{AuditEntry, Error, InstanceId, Sealed, SecretStore};
use memcloud_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::SqliteControlStore;
use crate::audit::record;
use crate::error::WorkError;
use crate::row::parsed;

#[async_trait]
impl SecretStore for SqliteControlStore {
    async fn sealed_settings(&self, instance: &InstanceId) -> Result<Sealed, Error> {
        let instance = instance.clone();
        self.work("reading the settings of an instance", move |tx| {
            let sealed = tx
                .query_row(
                    "SELECT key, sealed FROM settings WHERE instance = ?1",
                    [instance.as_str()],
                    |row| Ok(Sealed { key: row.get(0)?, bytes: row.get(1)? }),
                )
                .optional()?;
            Ok(sealed.ok_or(Error::NotFound("settings of an instance"))?)
        })
        .await
    }

    async fn replace_settings(
        &self,
        instance: &InstanceId,
        settings: &Sealed,
        audit: Option<&AuditEntry>,
    ) -> Result<(), Error> {
        let (instance, settings, audit) = (instance.clone(), settings.clone(), audit.cloned());
        self.work("keeping the settings of an instance", move |tx| {
            put_settings(tx, &instance, &settings)?;
            audit.iter().try_for_each(|entry| record(tx, entry))
        })
        .await
    }

    async fn remove_settings(&self, instance: &InstanceId) -> Result<(), Error> {
        let instance = instance.clone();
        self.work("removing the settings of an instance", move |tx| {
            tx.execute("DELETE FROM settings WHERE instance = ?1", [instance.as_str()])?;
            tx.execute("DELETE FROM revocations WHERE instance = ?1", [instance.as_str()])?;
            Ok(())
        })
        .await
    }

    async fn sealing_keys(&self) -> Result<Vec<(InstanceId, String)>, Error> {
        self.work("reading the names of sealing keys", |tx| {
            let mut select = tx.prepare_cached("SELECT instance, key FROM settings ORDER BY instance")?;
            let rows = select.query_map([], |row| Ok((parsed(row, "instance")?, row.get("key")?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revoke_later(
        &self,
        instance: &InstanceId,
        key: &str,
        at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let (instance, key, audit) = (instance.clone(), key.to_owned(), audit.clone());
        self.work("keeping a revocation", move |tx| {
            tx.execute(
                "REPLACE INTO revocations (instance, key, at) VALUES (?1, ?2, ?3)",
                params![instance.as_str(), key, at.as_micros()],
            )?;
            record(tx, &audit)
        })
        .await
    }

    async fn due_revocations(&self, now: Timestamp) -> Result<Vec<(InstanceId, String)>, Error> {
        self.work("reading revocations", move |tx| {
            let mut select =
                tx.prepare_cached("SELECT instance, key FROM revocations WHERE at <= ?1 ORDER BY at")?;
            let rows =
                select.query_map([now.as_micros()], |row| Ok((parsed(row, "instance")?, row.get("key")?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revocation_done(&self, instance: &InstanceId, key: &str) -> Result<(), Error> {
        let (instance, key) = (instance.clone(), key.to_owned());
        self.work("removing a revocation", move |tx| {
            tx.execute(
                "DELETE FROM revocations WHERE instance = ?1 AND key = ?2",
                [instance.as_str(), &key],
            )?;
            Ok(())
        })
        .await
    }
}

pub(crate) fn put_settings(
    tx: &Connection,
    instance: &InstanceId,
    settings: &Sealed,
) -> Result<(), WorkError> {
    tx.execute(
        "REPLACE INTO settings (instance, key, sealed) VALUES (?1, ?2, ?3)",
        params![instance.as_str(), settings.key, settings.bytes],
    )?;
    Ok(())
}
