use async_trait::async_trait;
use memcloud_control::verify::Evidence;
use memcloud_control::{Error, EvidenceStore, InstanceId};
use rusqlite::params;

use crate::SqliteControlStore;
use crate::error::WorkError;
use crate::row::parsed;

#[async_trait]
impl EvidenceStore for SqliteControlStore {
    async fn keep_evidence(&self, instance: &InstanceId, evidence: &[Evidence]) -> Result<(), Error> {
        let (instance, evidence) = (instance.clone(), evidence.to_vec());
        self.work("keeping evidence", move |tx| {
            let mut keep =
                tx.prepare_cached("REPLACE INTO evidence (instance, criterion, found) VALUES (?1, ?2, ?3)")?;
            for seen in &evidence {
                let found = serde_json::to_string(seen)?;
                keep.execute(params![instance.as_str(), <&str>::from(seen.criterion), found])?;
            }
            Ok(())
        })
        .await
    }

    async fn evidence(&self, instance: &InstanceId) -> Result<Vec<Evidence>, Error> {
        let instance = instance.clone();
        self.work("reading evidence", move |tx| {
            let mut select =
                tx.prepare_cached("SELECT found FROM evidence WHERE instance = ?1 ORDER BY criterion")?;
            let rows = select.query_map([instance.as_str()], |row| row.get::<_, String>(0))?;
            rows.map(|found| Ok(serde_json::from_str(&found?)?)).collect::<Result<Vec<_>, WorkError>>()
        })
        .await
    }

    async fn evidence_of(&self, instances: &[InstanceId]) -> Result<Vec<(InstanceId, Evidence)>, Error> {
        let instances = instances.to_vec();
        self.work("reading evidence", move |tx| {
            let instances = serde_json::to_string(&instances)?;
            let mut select = tx.prepare_cached(
                "SELECT instance, found FROM evidence WHERE instance IN (SELECT value FROM json_each(?1))
                 ORDER BY instance, criterion",
            )?;
            let rows = select
                .query_map([instances], |row| Ok((parsed(row, "instance")?, row.get::<_, String>(1)?)))?;
            let read = |row: rusqlite::Result<(InstanceId, String)>| {
                let (instance, found) = row?;
                Ok((instance, serde_json::from_str(&found)?))
            };
            rows.map(read).collect::<Result<Vec<_>, WorkError>>()
        })
        .await
    }
}
