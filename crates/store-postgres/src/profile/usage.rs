//! What the language model was used for. Whoever counts waits for the row of the day, which every minute belongs to: so no
//! two spend the same rest, and no two wait for each other.

use deadpool_postgres::{Object, Transaction};
use memcloud_domain::Timestamp;
use memcloud_ports::{Budget, Charge, Span, Usage};
use tokio_postgres::types::ToSql;

use crate::error::Failure;

/// Minutes are kept for an hour, days for a little more than a year, in microseconds.
const MINUTES_KEPT: i64 = 3_600_000_000;
const DAYS_KEPT: i64 = 400 * 86_400_000_000;

const LOCK_DAY: &str = "SELECT 1 FROM memcloud.usage WHERE span = 1 AND began = $1 FOR UPDATE";
const USED: &str = "SELECT span, calls, tokens FROM memcloud.usage
                    WHERE (span = 0 AND began = $1) OR (span = 1 AND began = $2)";

/// Counts a use, unless a limit has no room for it.
pub(super) async fn spend(
    mut client: Object,
    spending: Charge,
    budget: &Budget,
) -> Result<Option<Span>, Failure> {
    let tx = client.transaction().await?;
    let (minute, day) = (Span::Minute.began(spending.at), Span::Day.began(spending.at));
    let used = locked(&tx, minute, day).await?;
    if let Some(span) = budget.exhausted(used.0, used.1, spending) {
        return Ok(Some(span));
    }
    let (count, forget) = tokio::try_join!(
        tx.prepare_cached(
            "INSERT INTO memcloud.usage AS u (span, began, calls, tokens) VALUES (0, $1, $3, $4), (1, $2, $3, $4)
             ON CONFLICT (span, began) DO UPDATE SET calls = u.calls + $3, tokens = u.tokens + $4",
        ),
        tx.prepare_cached(
            "DELETE FROM memcloud.usage WHERE (span = 0 AND began < $1) OR (span = 1 AND began < $2)"
        ),
    )?;
    let (calls, tokens) = (spending.calls.cast_signed(), spending.tokens.cast_signed());
    let now = spending.at.as_micros();
    let counted: [&(dyn ToSql + Sync); 4] = [&minute, &day, &calls, &tokens];
    let old: [&(dyn ToSql + Sync); 2] = [&(now - MINUTES_KEPT), &(now - DAYS_KEPT)];
    tokio::try_join!(tx.execute(&count, &counted), tx.execute(&forget, &old))?;
    tx.commit().await?;
    Ok(None)
}

/// What was used, while everybody else who counts on this day waits.
async fn locked(tx: &Transaction<'_>, minute: i64, day: i64) -> Result<(Usage, Usage), Failure> {
    let (begin, lock, read) = tokio::try_join!(
        tx.prepare_cached(
            "INSERT INTO memcloud.usage (span, began, calls, tokens) VALUES (1, $1, 0, 0) ON CONFLICT DO NOTHING",
        ),
        tx.prepare_cached(LOCK_DAY),
        tx.prepare_cached(USED),
    )?;
    let of_day: [&(dyn ToSql + Sync); 1] = [&day];
    let of_both: [&(dyn ToSql + Sync); 2] = [&minute, &day];
    // The server reads when it has the lock.
    let (_, _, rows) = tokio::try_join!(
        biased;
        tx.execute(&begin, &of_day),
        tx.execute(&lock, &of_day),
        tx.query(&read, &of_both),
    )?;
    Ok(gathered(&rows))
}

/// Corrects what was counted at that moment.
pub(super) async fn correct(
    mut client: Object,
    at: Timestamp,
    calls: i64,
    tokens: i64,
) -> Result<(), Failure> {
    let tx = client.transaction().await?;
    let (lock, update) = tokio::try_join!(
        tx.prepare_cached(LOCK_DAY),
        tx.prepare_cached(
            "UPDATE memcloud.usage SET calls = greatest(calls + $3, 0), tokens = greatest(tokens + $4, 0)
             WHERE (span = 0 AND began = $1) OR (span = 1 AND began = $2)",
        ),
    )?;
    let (minute, day) = (Span::Minute.began(at), Span::Day.began(at));
    let of_day: [&(dyn ToSql + Sync); 1] = [&day];
    let corrected: [&(dyn ToSql + Sync); 4] = [&minute, &day, &calls, &tokens];
    tokio::try_join!(biased; tx.execute(&lock, &of_day), tx.execute(&update, &corrected))?;
    tx.commit().await?;
    Ok(())
}

/// What was used in the minute and in the day of this moment.
pub(super) async fn used(client: Object, at: Timestamp) -> Result<(Usage, Usage), Failure> {
    let read = client.prepare_cached(USED).await?;
    Ok(gathered(&client.query(&read, &[&Span::Minute.began(at), &Span::Day.began(at)]).await?))
}

fn gathered(rows: &[tokio_postgres::Row]) -> (Usage, Usage) {
    let of = |span: i16| {
        let row = rows.iter().find(|row| row.get::<_, i16>(0) == span);
        let count = |row: &tokio_postgres::Row, column| row.get::<_, i64>(column).cast_unsigned();
        row.map_or_else(Usage::default, |row| Usage { calls: count(row, 1), tokens: count(row, 2) })
    };
    (of(0), of(1))
}
