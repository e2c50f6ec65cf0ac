//! The use of the language model.

use memcloud_domain::Timestamp;
use memcloud_ports::{Budget, Charge, Span, Usage};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::WorkError;

/// Counts a charge, unless it would exceed a limit.
pub(super) fn spend(tx: &Connection, charge: Charge, budget: &Budget) -> Result<Option<Span>, WorkError> {
    let (minute, day) = used(tx, charge.at)?;
    if let Some(span) = budget.exhausted(minute, day, charge) {
        return Ok(Some(span));
    }
    let mut count = tx.prepare_cached(
        "INSERT INTO usage (span, began, calls, tokens) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET calls = calls + ?3, tokens = tokens + ?4",
    )?;
    for span in [Span::Minute, Span::Day] {
        let (calls, tokens) = (charge.calls.cast_signed(), charge.tokens.cast_signed());
        count.execute(params![number(span), span.began(charge.at), calls, tokens])?;
    }
    let mut forget = tx.prepare_cached("DELETE FROM usage WHERE span = ?1 AND began < ?2")?;
    for span in [Span::Minute, Span::Day] {
        forget.execute([number(span), charge.at.as_micros() - span.kept_for()])?;
    }
    Ok(None)
}

/// Corrects the counts of that moment.
pub(super) fn correct(tx: &Connection, at: Timestamp, calls: i64, tokens: i64) -> Result<(), WorkError> {
    let mut update = tx.prepare_cached(
        "UPDATE usage SET calls = max(calls + ?3, 0), tokens = max(tokens + ?4, 0) WHERE span = ?1 AND began = ?2",
    )?;
    for span in [Span::Minute, Span::Day] {
        update.execute([number(span), span.began(at), calls, tokens])?;
    }
    Ok(())
}

/// What was used in the minute and in the day of this moment.
pub(super) fn used(connection: &Connection, at: Timestamp) -> Result<(Usage, Usage), WorkError> {
    let mut select =
        connection.prepare_cached("SELECT calls, tokens FROM usage WHERE span = ?1 AND began = ?2")?;
    let mut of = |span: Span| -> Result<Usage, WorkError> {
        let found = select.query_row([number(span), span.began(at)], |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Usage { calls: count(0)?, tokens: count(1)? })
        });
        Ok(found.optional()?.unwrap_or_default())
    };
    Ok((of(Span::Minute)?, of(Span::Day)?))
}

/// The number of a span in the database.
fn number(span: Span) -> i64 {
    match span {
        Span::Minute => 0,
        Span::Day => 1,
    }
}
