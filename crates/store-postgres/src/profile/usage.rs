//! The use of the language model. Every charge locks the row of the day, which each minute belongs to: two charges never
//! share the same remaining budget, and they cannot deadlock.

use deadpool_postgres::{Object, Transaction};
use memcloud_domain::Timestamp;
use memcloud_ports::{Budget, Charge, Span, Usage};
use tokio_postgres::types::ToSql;

use crate::error::WorkError;
use crate::query::Query;

const BEGIN_DAY: &str =
    "INSERT INTO memcloud.usage (span, began, calls, tokens) VALUES (1, $1, 0, 0) ON CONFLICT DO NOTHING";
const LOCK_DAY: &str = "SELECT 1 FROM memcloud.usage WHERE span = 1 AND began = $1 FOR UPDATE";
const USED: &str = "SELECT span, calls, tokens FROM memcloud.usage
                    WHERE (span = 0 AND began = $1) OR (span = 1 AND began = $2)";

const COUNT: &str = "INSERT INTO memcloud.usage AS u (span, began, calls, tokens)
                     VALUES (0, $1, $3, $4), (1, $2, $3, $4)
                     ON CONFLICT (span, began) DO UPDATE SET calls = u.calls + $3, tokens = u.tokens + $4";
const FORGET: &str =
    "DELETE FROM memcloud.usage WHERE (span = 0 AND began < $1) OR (span = 1 AND began < $2)";
const CORRECT: &str =
    "UPDATE memcloud.usage SET calls = greatest(calls + $3, 0), tokens = greatest(tokens + $4, 0)
                       WHERE (span = 0 AND began = $1) OR (span = 1 AND began = $2)";

/// Counts a charge, unless it would exceed a limit.
pub(super) async fn spend(
    mut client: Object,
    charge: Charge,
    budget: &Budget,
) -> Result<Option<Span>, WorkError> {
    let tx = client.transaction().await?;
    let (minute, day) = (Span::Minute.began(charge.at), Span::Day.began(charge.at));
    let used = locked(&tx, minute, day).await?;
    if let Some(span) = budget.exhausted(used.0, used.1, charge) {
        return Ok(Some(span));
    }
    tx.prepare_all(&[COUNT, FORGET]).await?;
    let (calls, tokens) = (charge.calls.cast_signed(), charge.tokens.cast_signed());
    let now = charge.at.as_micros();
    let counted: [&(dyn ToSql + Sync); 4] = [&minute, &day, &calls, &tokens];
    let old: [&(dyn ToSql + Sync); 2] = [&(now - Span::Minute.kept_for()), &(now - Span::Day.kept_for())];
    tokio::try_join!(tx.run(COUNT, &counted), tx.run(FORGET, &old))?;
    tx.commit().await?;
    Ok(None)
}

/// What was used. Other charges of this day wait until the transaction ends.
async fn locked(tx: &Transaction<'_>, minute: i64, day: i64) -> Result<(Usage, Usage), WorkError> {
    tx.prepare_all(&[BEGIN_DAY, LOCK_DAY, USED]).await?;
    let of_day: [&(dyn ToSql + Sync); 1] = [&day];
    let of_both: [&(dyn ToSql + Sync); 2] = [&minute, &day];
    // The server reads after it has the lock.
    let (_, _, rows) = tokio::try_join!(
        biased;
        tx.run(BEGIN_DAY, &of_day),
        tx.run(LOCK_DAY, &of_day),
        tx.rows(USED, &of_both),
    )?;
    Ok(gathered(&rows))
}

/// Corrects the counts of that moment.
pub(super) async fn correct(
    mut client: Object,
    at: Timestamp,
    calls: i64,
    tokens: i64,
) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    tx.prepare_all(&[LOCK_DAY, CORRECT]).await?;
    let (minute, day) = (Span::Minute.began(at), Span::Day.began(at));
    let of_day: [&(dyn ToSql + Sync); 1] = [&day];
    let corrected: [&(dyn ToSql + Sync); 4] = [&minute, &day, &calls, &tokens];
    tokio::try_join!(biased; tx.run(LOCK_DAY, &of_day), tx.run(CORRECT, &corrected))?;
    tx.commit().await?;
    Ok(())
}

/// What was used in the minute and in the day of this moment.
pub(super) async fn used(client: Object, at: Timestamp) -> Result<(Usage, Usage), WorkError> {
    Ok(gathered(&client.rows(USED, &[&Span::Minute.began(at), &Span::Day.began(at)]).await?))
}

fn gathered(rows: &[tokio_postgres::Row]) -> (Usage, Usage) {
    let of = |span: i16| {
        let row = rows.iter().find(|row| row.get::<_, i16>(0) == span);
        let count = |row: &tokio_postgres::Row, column| row.get::<_, i64>(column).cast_unsigned();
        row.map_or_else(Usage::default, |row| Usage { calls: count(row, 1), tokens: count(row, 2) })
    };
    (of(0), of(1))
}
