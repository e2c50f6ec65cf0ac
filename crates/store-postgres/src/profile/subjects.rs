//! What is learned together, as a row that everything learned hangs on; and the rows of spaces, which any transaction that changes
//! anything in them waits for.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use memcloud_domain::{ProfileKey, Space};
use tokio_postgres::Row;

use crate::error::WorkError;

/// The row of a space, if it is known. Other transactions that change anything in it wait until this one ends.
pub(crate) async fn lock_space(tx: &Transaction<'_>, space: &Space) -> Result<Option<i64>, WorkError> {
    let lock = tx
        .prepare_cached("SELECT id FROM memcloud.spaces WHERE org = $1 AND project = $2 FOR NO KEY UPDATE")
        .await?;
    Ok(tx.query_opt(&lock, &[&space.org, &space.project]).await?.map(|row| row.get(0)))
}

/// The rows of the subjects whose spaces are known, made where they are new. Locks the spaces, in one order.
pub(super) async fn lock_and_make(
    tx: &Transaction<'_>,
    subjects: impl IntoIterator<Item = &ProfileKey>,
) -> Result<HashMap<ProfileKey, i64>, WorkError> {
    let lock = tx
        .prepare_cached(
            "SELECT s.id, s.org, s.project FROM memcloud.spaces s
             JOIN unnest($1::text[], $2::text[]) AS n (org, project) ON n.org = s.org AND n.project = s.project
             ORDER BY s.id FOR NO KEY UPDATE OF s",
        )
        .await?;
    let mut rows: HashMap<ProfileKey, i64> =
        subjects.into_iter().map(|subject| (subject.clone(), 0)).collect();
    let (orgs, projects): (Vec<&str>, Vec<&str>) =
        rows.keys().map(|subject| (subject.space.org.as_str(), subject.space.project.as_str())).unzip();
    let locked = tx.query(&lock, &[&orgs, &projects]).await?;
    let spaces: HashMap<Space, i64> =
        locked.iter().map(|row| (Space { org: row.get(1), project: row.get(2) }, row.get(0))).collect();
    rows.retain(|subject, _| spaces.contains_key(&subject.space));
    for (subject, id) in &mut rows {
        *id = make(tx, spaces[&subject.space], subject).await?;
    }
    Ok(rows)
}

/// The row of a subject in the row of its space, which is locked; made when it is new.
pub(super) async fn make(tx: &Transaction<'_>, space: i64, subject: &ProfileKey) -> Result<i64, WorkError> {
    let make = tx
        .prepare_cached(
            "WITH known AS (SELECT id FROM memcloud.subjects WHERE space = $1 AND owner = $2 AND category = $3),
                  made AS (INSERT INTO memcloud.subjects (space, owner, category)
                           SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM known) RETURNING id)
             SELECT id FROM known UNION ALL SELECT id FROM made",
        )
        .await?;
    Ok(tx.query_one(&make, &[&space, &subject.owner, &subject.category]).await?.get(0))
}

/// The subject in four columns: org, project, owner, category.
pub(super) fn read(row: &Row, first: usize) -> ProfileKey {
    ProfileKey {
        space: Space { org: row.get(first), project: row.get(first + 1) },
        owner: row.get(first + 2),
        category: row.get(first + 3),
    }
}
