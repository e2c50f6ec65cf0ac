use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

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
