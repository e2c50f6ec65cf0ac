//! What the language model was used for.

use memcloud_domain::Timestamp;
use memcloud_ports::{Budget, Charge, Span, Usage};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Failure;

/// Minutes are kept for an hour, days for a little more than a year, in microseconds.
const MINUTES_KEPT: i64 = 3_600_000_000;
const DAYS_KEPT: i64 = 400 * 86_400_000_000;

/// Counts a use, unless a limit has no room for it.
pub(super) fn spend(tx: &Connection, spending: Charge, budget: &Budget) -> Result<Option<Span>, Failure> {
    let (minute, day) = used(tx, spending.at)?;
    if let Some(span) = budget.exhausted(minute, day, spending) {
        return Ok(Some(span));
    }
    let mut count = tx.prepare_cached(
        "INSERT INTO usage (span, began, calls, tokens) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET calls = calls + ?3, tokens = tokens + ?4",
    )?;
    for span in [Span::Minute, Span::Day] {
        let (calls, tokens) = (spending.calls.cast_signed(), spending.tokens.cast_signed());
        count.execute(params![number(span), span.began(spending.at), calls, tokens])?;
    }
    let mut forget = tx.prepare_cached("DELETE FROM usage WHERE span = ?1 AND began < ?2")?;
    for (span, kept) in [(Span::Minute, MINUTES_KEPT), (Span::Day, DAYS_KEPT)] {
        forget.execute([number(span), spending.at.as_micros() - kept])?;
    }
    Ok(None)
}

/// Corrects what was counted at that moment.
pub(super) fn correct(tx: &Connection, at: Timestamp, calls: i64, tokens: i64) -> Result<(), Failure> {
    let mut update = tx.prepare_cached(
        "UPDATE usage SET calls = max(calls + ?3, 0), tokens = max(tokens + ?4, 0) WHERE span = ?1 AND began = ?2",
    )?;
    for span in [Span::Minute, Span::Day] {
        update.execute([number(span), span.began(at), calls, tokens])?;
    }
    Ok(())
}

/// What was used in the minute and in the day of this moment.
pub(super) fn used(connection: &Connection, at: Timestamp) -> Result<(Usage, Usage), Failure> {
    let mut select =
        connection.prepare_cached("SELECT calls, tokens FROM usage WHERE span = ?1 AND began = ?2")?;
    let mut of = |span: Span| -> Result<Usage, Failure> {
        let found = select.query_row([number(span), span.began(at)], |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Usage { calls: count(0)?, tokens: count(1)? })
        });
        Ok(found.optional()?.unwrap_or_default())
    };
    Ok((of(Span::Minute)?, of(Span::Day)?))
}

/// How a span is written in the database.
fn number(span: Span) -> i64 {
    match span {
        Span::Minute => 0,
        Span::Day => 1,
    }
}
