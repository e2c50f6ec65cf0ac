//! SQL that a test runs itself, not through the code under test.

use std::error::Error as _;
use std::time::Duration;

use anyhow::Result;
use tokio_postgres::{Config, Error, NoTls, SimpleQueryMessage};

use crate::background;

/// A local server that does not answer by then is considered absent.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Runs SQL on a separate connection and returns the rows, one line each, with `|` between columns.
pub(super) fn run(config: &Config, sql: &str) -> Result<Result<String, Error>> {
    let mut config = config.clone();
    config.connect_timeout(CONNECT_LIMIT);
    background::block_on(async {
        let (client, connection) = config.connect(NoTls).await?;
        let ask = async {
            let rows = client.simple_query(sql).await.map(|messages| lines(&messages));
            // The connection ends when its client is dropped.
            drop(client);
            rows
        };
        let (rows, _) = tokio::join!(ask, connection);
        rows
    })
}

/// PostgreSQL's error with its code.
pub(super) fn describe(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(database), _) => format!("{} ({})", database.message(), database.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

fn lines(messages: &[SimpleQueryMessage]) -> String {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let line = |row: &tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|column| row.get(column).unwrap_or_default()).collect::<Vec<_>>().join("|")
    };
    rows.map(line).collect::<Vec<_>>().join("\n")
}
