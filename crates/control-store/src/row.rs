//! Values of columns.

use std::fmt::Display;
use std::str::FromStr;

use memcloud_control::Page;
use memcloud_control::PageQuery;
use memcloud_control::Reason;
use memcloud_domain::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Row, ToSql};
use serde_json::Value;

/// The value of a column that is kept as text.
pub(crate) fn parsed<T: FromStr<Err: Display>>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| unreadable(format!("{column}: {error}")))
}

/// The same of a column that may have no value.
pub(crate) fn maybe_parsed<T: FromStr<Err: Display>>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|error: T::Err| unreadable(format!("{column}: {error}"))))
        .transpose()
}

pub(crate) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    maybe_time(row, column)?.ok_or_else(|| unreadable(format!("{column}: there is no time")))
}

pub(crate) fn maybe_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    let moment =
        |micros| Timestamp::from_micros(micros).ok_or_else(|| unreadable(format!("{column}: not a time")));
    micros.map(moment).transpose()
}

pub(crate) fn json(row: &Row<'_>, column: &str) -> rusqlite::Result<Value> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(format!("{column}: {error}")))
}

/// The columns `message` and `hint`.
pub(crate) fn reason(row: &Row<'_>) -> rusqlite::Result<Option<Reason>> {
    let message: Option<String> = row.get("message")?;
    let hint: Option<String> = row.get("hint")?;
    Ok(message.map(|message| Reason { message, hint: hint.unwrap_or_default() }))
}

/// A page of rows that were read with one more than its limit. `at` says where a page ends that ends with this item.
pub(crate) fn page<T>(query: &PageQuery, mut items: Vec<T>, at: impl FnOnce(&T) -> String) -> Page<T> {
    let is_cut = items.len() > query.limit;
    items.truncate(query.limit);
    let next = items.last().filter(|_| is_cut).map(at);
    Page { items, next }
}

/// The most rows to read for a page: one more than it has.
pub(crate) fn limit(query: &PageQuery) -> i64 {
    i64::try_from(query.limit).unwrap_or(i64::MAX - 1).saturating_add(1)
}

pub(crate) fn micros(time: Option<Timestamp>) -> impl ToSql {
    time.map(Timestamp::as_micros)
}

pub(crate) fn unreadable(what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into())
}
