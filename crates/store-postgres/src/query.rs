use std::pin::pin;

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use memcloud_ports::Gathered;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};

use crate::error::WorkError;

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

    /// What is read of the first rows, until it is large together.
    async fn gathered<T: Send + 'static>(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
        read: impl for<'r> Fn(&'r Row) -> Result<T, WorkError> + Send,
        size: impl for<'t> Fn(&'t T) -> usize + Send,
    ) -> Result<Vec<T>, WorkError> {
        let mut rows = pin!(self.stream(sql, values).await?);
        let mut gathered = Gathered::default();
        while let Some(row) = rows.try_next().await? {
            let row = read(&row)?;
            let bytes = size(&row);
            if !gathered.add(row, bytes) {
                break;
            }
        }
        Ok(gathered.into_rows())
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
