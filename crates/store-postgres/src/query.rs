use std::pin::pin;

use deadpool_postgres::GenericClient;
use futures_util::TryStreamExt;
use memcloud_ports::Gathered;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};

use crate::error::WorkError;

/// Runs statements. Each is prepared once per connection.
pub(crate) trait Query: GenericClient {
    /// All rows.
    fn rows(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Vec<Row>, WorkError>> + Send {
        async move { Ok(self.query(&self.prepare_cached(sql).await?, values).await?) }
    }

    /// Rows as they come. What the server still sends when the stream is dropped is discarded by the connection.
    fn stream(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<RowStream, WorkError>> + Send {
        async move { Ok(self.query_raw(&self.prepare_cached(sql).await?, values.iter().copied()).await?) }
    }

    /// What is read of the first rows, until it is large together.
    fn gathered<T: Send>(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
        read: impl Fn(&Row) -> Result<T, WorkError> + Send,
        size: impl Fn(&T) -> usize + Send,
    ) -> impl Future<Output = Result<Vec<T>, WorkError>> + Send {
        async move {
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
    }

    /// The only row.
    fn row(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Row, WorkError>> + Send {
        async move { Ok(self.query_one(&self.prepare_cached(sql).await?, values).await?) }
    }

    /// The only row, if there is one.
    fn row_if_any(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Option<Row>, WorkError>> + Send {
        async move { Ok(self.query_opt(&self.prepare_cached(sql).await?, values).await?) }
    }

    /// The number of rows that the statement changed.
    fn run(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<u64, WorkError>> + Send {
        async move { Ok(self.execute(&self.prepare_cached(sql).await?, values).await?) }
    }
}

impl<Client: GenericClient> Query for Client {}
