use async_trait::async_trait;
use memcloud_control::{
    AuditEntry, Error, Instance, InstanceChange, InstanceId, InstanceStore, Operation, OrganizationId, Page,
    PageQuery, Sealed,
};
use memcloud_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::SqliteControlStore;
use crate::audit::record;
use crate::change::change;
use crate::error::{WorkError, is_taken};
use crate::operations::insert_operation;
use crate::row::{json, limit, page, parsed, reason, time};
use crate::secrets::put_settings;

#[async_trait]
impl InstanceStore for SqliteControlStore {
    async fn create_instance(
        &self,
        instance: &Instance,
        settings: &Sealed,
        operation: &Operation,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let (instance, settings) = (instance.clone(), settings.clone());
        let (operation, audit) = (operation.clone(), audit.clone());
        self.work("keeping a new instance", move |tx| {
            give_way(tx, &instance)?;
            insert(tx, &instance)?;
            put_settings(tx, &instance.id, &settings)?;
            insert_operation(tx, &operation)?;
            record(tx, &audit)
        })
        .await
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        let id = id.clone();
        self.work("reading an instance", move |tx| read(tx, &id)).await
    }

    async fn instances(
        &self,
        organization: Option<&OrganizationId>,
        name: Option<&str>,
        query: &PageQuery,
    ) -> Result<Page<Instance>, Error> {
        let organization = organization.cloned();
        let (name, query) = (name.map(str::to_owned), query.clone());
        self.work("reading instances", move |tx| {
            let (after_name, after_id) =
                query.cursor.as_deref().and_then(|at| at.split_once('/')).unwrap_or_default();
            let mut select = tx.prepare_cached(
                "SELECT * FROM instances
                 WHERE state <> 'removed' AND (?1 IS NULL OR organization = ?1) AND (?2 IS NULL OR name = ?2)
                   AND (name, id) > (?3, ?4)
                 ORDER BY name, id LIMIT ?5",
            )?;
            let organization = organization.as_ref().map(OrganizationId::as_str);
            let rows = select
                .query_map(params![organization, name, after_name, after_id, limit(&query)], instance)?;
            let found = rows.collect::<Result<Vec<_>, _>>()?;
            Ok(page(&query, found, |instance| format!("{}/{}", instance.name, instance.id)))
        })
        .await
    }

    async fn removed_instances(&self) -> Result<Vec<Instance>, Error> {
        self.work("reading removed instances", |tx| {
            let mut select =
                tx.prepare_cached("SELECT * FROM instances WHERE state = 'removed' ORDER BY changed_at, id")?;
            let rows = select.query_map([], instance)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn change_instance(
        &self,
        id: &InstanceId,
        changed: &InstanceChange,
        at: Timestamp,
    ) -> Result<(), Error> {
        let (id, changed) = (id.clone(), changed.clone());
        self.work("changing an instance", move |tx| change(tx, &id, &changed, at)).await
    }
}

/// Removes an instance of the same name that could not be made: nothing of it is left, and it would keep the name.
fn give_way(tx: &Connection, instance: &Instance) -> Result<(), WorkError> {
    let mut select = tx.prepare_cached(
        "UPDATE instances SET state = 'removed', wanted = 'removed', changed_at = ?3
         WHERE organization = ?1 AND name = ?2 AND state = 'failed' RETURNING id",
    )?;
    let given =
        params![instance.organization.as_str(), instance.name.as_str(), instance.created_at.as_micros()];
    let failed = select.query_map(given, |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    for id in failed {
        tx.execute("DELETE FROM settings WHERE instance = ?1", [id])?;
    }
    Ok(())
}

fn insert(tx: &Connection, instance: &Instance) -> Result<(), WorkError> {
    tx.execute(
        "INSERT OR IGNORE INTO organizations (id, created_at) VALUES (?1, ?2)",
        params![instance.organization.as_str(), instance.created_at.as_micros()],
    )?;
    let (message, hint) = instance.reason.as_ref().map(|reason| (&reason.message, &reason.hint)).unzip();
    let inserted = tx.execute(
        "INSERT INTO instances (id, organization, name, target, topology, wanted, state, message, hint, url, version,
                                has_llm, placement, created_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            instance.id.as_str(),
            instance.organization.as_str(),
            instance.name.as_str(),
            <&str>::from(instance.target),
            <&str>::from(instance.topology),
            <&str>::from(instance.wanted),
            <&str>::from(instance.state),
            message,
            hint,
            instance.url,
            instance.version,
            instance.has_llm,
            instance.placement.to_string(),
            instance.created_at.as_micros(),
            instance.changed_at.as_micros(),
        ],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if is_taken(&error) => Err(Error::NameTaken(instance.name.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

/// The instance, also when it is removed.
pub(crate) fn read(tx: &Connection, id: &InstanceId) -> Result<Instance, WorkError> {
    let mut select = tx.prepare_cached("SELECT * FROM instances WHERE id = ?1")?;
    let found = select.query_row([id.as_str()], instance).optional()?;
    Ok(found.ok_or(Error::NotFound("instance"))?)
}

fn instance(row: &Row<'_>) -> rusqlite::Result<Instance> {
    Ok(Instance {
        id: parsed(row, "id")?,
        organization: parsed(row, "organization")?,
        name: parsed(row, "name")?,
        target: parsed(row, "target")?,
        topology: parsed(row, "topology")?,
        wanted: parsed(row, "wanted")?,
        state: parsed(row, "state")?,
        reason: reason(row)?,
        url: row.get("url")?,
        version: row.get("version")?,
        has_llm: row.get("has_llm")?,
        placement: json(row, "placement")?,
        created_at: time(row, "created_at")?,
        changed_at: time(row, "changed_at")?,
    })
}
