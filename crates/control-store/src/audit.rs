use async_trait::async_trait;
use memcloud_control::{Actor, AuditEntry, AuditStore, Error, OrganizationId, Page, PageQuery, TokenId};
use rusqlite::{Connection, Row, params};

use crate::SqliteControlStore;
use crate::error::WorkError;
use crate::prune::prune_audit;
use crate::row::{limit, maybe_parsed, page, parsed, time};

#[async_trait]
impl AuditStore for SqliteControlStore {
    async fn record(&self, entry: &AuditEntry) -> Result<(), Error> {
        let entry = entry.clone();
        self.work("keeping an audit entry", move |tx| record(tx, &entry)).await
    }

    async fn audit(
        &self,
        organization: &OrganizationId,
        query: &PageQuery,
    ) -> Result<Page<AuditEntry>, Error> {
        let (organization, query) = (organization.clone(), query.clone());
        self.work("reading the audit log", move |tx| {
            let before = query.cursor.as_deref().map_or(i64::MAX, |cursor| cursor.parse().unwrap_or(0));
            let mut select = tx.prepare_cached(
                "SELECT * FROM audit WHERE organization = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
            )?;
            let rows = select.query_map(params![organization.as_str(), before, limit(&query)], |row| {
                Ok((row.get::<_, i64>("number")?, entry(row)?))
            })?;
            let entries = rows.collect::<Result<Vec<_>, _>>()?;
            let Page { items, next } = page(&query, entries, |(number, _)| number.to_string());
            Ok(Page { items: items.into_iter().map(|(_, entry)| entry).collect(), next })
        })
        .await
    }
}

/// Keeps an entry, in the transaction of what it is about.
pub(crate) fn record(tx: &Connection, entry: &AuditEntry) -> Result<(), WorkError> {
    let (user, token) = match &entry.actor {
        Actor::User { user, token, .. } => (Some(user.as_str()), token.as_ref().map(TokenId::as_str)),
        Actor::System => (None, None),
    };
    tx.prepare_cached(
        "INSERT INTO audit (organization, at, user, name, token, address, action, subject)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        entry.organization.as_str(),
        entry.at.as_micros(),
        user,
        entry.actor.name(),
        token,
        entry.from.map(|address| address.to_string()),
        entry.action,
        entry.subject,
    ])?;
    prune_audit(tx, &entry.organization)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let name: String = row.get("name")?;
    let actor = match maybe_parsed(row, "user")? {
        Some(user) => Actor::User { user, name, token: maybe_parsed(row, "token")? },
        None => Actor::System,
    };
    Ok(AuditEntry {
        organization: parsed(row, "organization")?,
        at: time(row, "at")?,
        actor,
        from: maybe_parsed(row, "address")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
    })
}
