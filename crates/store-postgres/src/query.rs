use std::iter;
use std::pin::pin;

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use memcloud_domain::EpisodeId;
use memcloud_ports::{Damage, DamagedRow, Gathered};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};
use uuid::Uuid;

use crate::error::WorkError;
use crate::{id, uuid};

/// Runs statements. Each is prepared once per connection.
#[async_trait]
pub(crate) trait Query: GenericClient {
    /// Prepares statements that will be sent together, so that none waits for its preparation and loses its turn.
    async fn prepare_all(&self, statements: &[&str]) -> Result<(), WorkError> {
        try_join_all(statements.iter().map(|sql| self.prepare_cached(sql))).await?;
        Ok(())
    }

    /// All rows.
    async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, WorkError> {
        Ok(self.query(&self.prepare_cached(sql).await?, values).await?)
    }

    /// Rows as they come. What the server still sends when the stream is dropped is discarded by the connection.
    async fn stream(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<RowStream, WorkError> {
        Ok(self.query_raw(&self.prepare_cached(sql).await?, values.iter().copied()).await?)
    }

    /// What is read of the first rows of episodes, until it is large together. The statement leaves out the rows that `$1`
    /// names: those that are known to be damaged. `values` follow from `$2` on. A row that is found to be damaged is noted,
    /// and the others are read again without it, so that it does not count toward a limit.
    async fn gathered<T: Send + 'static>(
        &self,
        sql: &str,
        damage: &Damage<EpisodeId>,
        values: &[&(dyn ToSql + Sync)],
        read: for<'r> fn(&'r Row) -> Option<T>,
        size: for<'t> fn(&'t T) -> usize,
    ) -> Result<Vec<T>, WorkError> {
        loop {
            let left_out: Vec<Uuid> = damage.episodes().iter().map(uuid).collect();
            let all: Vec<&(dyn ToSql + Sync)> =
                iter::once(&left_out as _).chain(values.iter().copied()).collect();
            let mut rows = pin!(self.stream(sql, &all).await?);
            let (mut gathered, mut is_intact) = (Gathered::default(), true);
            while let Some(row) = rows.try_next().await? {
                let Some(read) = read(&row) else {
                    damage.note_row(DamagedRow::Episode(id(row.get("uid"))));
                    is_intact = false;
                    continue;
                };
                let bytes = size(&read);
                if !gathered.add(read, bytes) {
                    break;
                }
            }
            if is_intact {
                return Ok(gathered.into_rows());
            }
        }
    }

    /// The only row.
    async fn row(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row, WorkError> {
        Ok(self.query_one(&self.prepare_cached(sql).await?, values).await?)
    }

    /// The only row, if there is one.
    async fn row_if_any(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, WorkError> {
        Ok(self.query_opt(&self.prepare_cached(sql).await?, values).await?)
    }

    /// The number of rows that the statement changed.
    async fn run(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, WorkError> {
        Ok(self.execute(&self.prepare_cached(sql).await?, values).await?)
    }
}

impl<Client: GenericClient> Query for Client {}
