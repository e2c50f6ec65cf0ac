//! What is known, now and in the past.

use memcloud_domain::{EpisodeId, Fact, FactId, Space, Timestamp};
use memcloud_ports::{Changed, EmbeddedFact, FactsOf, RevisionSet};
use rusqlite::{Connection, Row, params};

use super::subjects;
use crate::error::WorkError;
use crate::{read, spaces, vectors};

/// What every read of facts selects, in the order that [`fact`] expects.
macro_rules! select_facts {
    ($rest:literal) => {
        concat!(
            "SELECT f.id, p.org, p.project, s.owner, s.category, f.tag, f.feature, f.value, f.valid_from, f.valid_to, ",
            "f.learned_at, f.prompt, f.model, f.vector ",
            "FROM features f JOIN subjects s ON s.id = f.subject JOIN spaces p ON p.id = s.space ",
            $rest
        )
    };
}

fn fact(row: &Row<'_>) -> rusqlite::Result<EmbeddedFact> {
    let valid_to = match row.get::<_, Option<i64>>(9)? {
        Some(_) => Some(read::moment(row, 9)?),
        None => None,
    };
    let fact = Fact {
        id: FactId::from_number(row.get(0)?),
        subject: subjects::read(row, 1)?,
        tag: row.get(5)?,
        name: row.get(6)?,
        value: row.get(7)?,
        citations: Vec::new(),
        valid_from: read::moment(row, 8)?,
        valid_to,
        learned_at: read::moment(row, 10)?,
        prompt: row.get(11)?,
        model: row.get(12)?,
    };
    Ok(EmbeddedFact { fact, vector: row.get_ref(13)?.as_blob_or_null()?.map(vectors::decode) })
}

/// Puts their citations into facts.
fn cited(
    connection: &Connection,
    facts: impl Iterator<Item = rusqlite::Result<EmbeddedFact>>,
) -> Result<Vec<EmbeddedFact>, WorkError> {
    let mut select =
        connection.prepare_cached("SELECT uid FROM citations WHERE feature = ?1 ORDER BY uid")?;
    let mut all = Vec::new();
    for fact in facts {
        let mut fact = fact?;
        let citations = select.query_map([fact.fact.id.number()], |row| read::id(row, 0))?;
        fact.fact.citations = citations.collect::<Result<_, _>>()?;
        all.push(fact);
    }
    Ok(all)
}

/// Facts of a space, in the order in which they were learned.
pub(super) fn of(connection: &Connection, of: &FactsOf) -> Result<Vec<EmbeddedFact>, WorkError> {
    let Some(space) = spaces::find(connection, &of.space)? else { return Ok(Vec::new()) };
    let owners = of.owners.as_ref().map(|owners| serde_json::Value::from(owners.as_slice()).to_string());
    let mut select = connection.prepare_cached(select_facts!(
        "WHERE s.space = ?1 AND (?2 IS NULL OR s.owner IN (SELECT value FROM json_each(?2)))
           AND (?3 IS NULL OR s.category = ?3)
           AND ((?4 IS NULL AND f.valid_to IS NULL)
             OR (f.valid_from <= ?4 AND (f.valid_to IS NULL OR f.valid_to > ?4)))
         ORDER BY f.id"
    ))?;
    let as_of = of.as_of.map(Timestamp::as_micros);
    cited(connection, select.query_map(params![space, owners, of.category, as_of], fact)?)
}

/// Facts of all spaces by id, after this one.
pub(super) fn all(
    connection: &Connection,
    after: Option<FactId>,
    limit: usize,
) -> Result<Vec<EmbeddedFact>, WorkError> {
    let mut select = connection.prepare_cached(select_facts!("WHERE f.id > ?1 ORDER BY f.id LIMIT ?2"))?;
    let after = after.map_or(i64::MIN, FactId::number);
    cited(connection, select.query_map(params![after, limit as i64], fact)?)
}

/// Changes what is known about the subject in this row, and says how many revisions took effect.
pub(super) fn revise(
    tx: &Connection,
    space: i64,
    subject: i64,
    lessons: &RevisionSet,
) -> Result<usize, WorkError> {
    let mut holding =
        tx.prepare_cached(select_facts!("WHERE f.subject = ?1 AND f.valid_to IS NULL ORDER BY f.id"))?;
    let current = cited(tx, holding.query_map([subject], fact)?)?;
    let newest: Option<i64> = tx.query_row("SELECT max(id) FROM features", [], |row| row.get(0))?;
    let mut stored = Vec::new();
    for episode in lessons.cited() {
        if is_stored(tx, space, &episode)? {
            stored.push(episode);
        }
    }
    let changed = lessons.change(current, newest.map(FactId::from_number), stored);
    write(tx, subject, &changed)?;
    Ok(changed.effects)
}

fn is_stored(tx: &Connection, space: i64, episode: &EpisodeId) -> Result<bool, WorkError> {
    let mut stored = tx.prepare_cached("SELECT 1 FROM episodes WHERE uid = ?1 AND space = ?2")?;
    Ok(stored.exists(params![episode.as_bytes(), space])?)
}

fn write(tx: &Connection, subject: i64, changed: &Changed) -> Result<(), WorkError> {
    for fact in &changed.learned {
        insert(tx, subject, fact)?;
    }
    for (id, episode) in &changed.cited {
        cite(tx, *id, episode)?;
    }
    let mut end = tx.prepare_cached("UPDATE features SET valid_to = ?2 WHERE id = ?1")?;
    for (id, at) in &changed.ended {
        end.execute(params![id.number(), at.as_micros()])?;
    }
    Ok(())
}

fn insert(tx: &Connection, subject: i64, fact: &EmbeddedFact) -> Result<(), WorkError> {
    let vector = fact.vector.as_deref().map(vectors::encode);
    let fact = &fact.fact;
    tx.prepare_cached(
        "INSERT INTO features (id, subject, tag, feature, value, valid_from, valid_to, learned_at, prompt, model, vector)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        fact.id.number(),
        subject,
        fact.tag,
        fact.name,
        fact.value,
        fact.valid_from.as_micros(),
        fact.valid_to.map(Timestamp::as_micros),
        fact.learned_at.as_micros(),
        fact.prompt,
        fact.model,
        vector,
    ])?;
    fact.citations.iter().try_for_each(|episode| cite(tx, fact.id, episode))
}

fn cite(tx: &Connection, id: FactId, episode: &EpisodeId) -> Result<(), WorkError> {
    tx.prepare_cached("INSERT OR IGNORE INTO citations (feature, uid) VALUES (?1, ?2)")?
        .execute(params![id.number(), episode.as_bytes()])?;
    Ok(())
}

/// Keeps facts as they are.
pub(super) fn put(tx: &Connection, facts: &[EmbeddedFact]) -> Result<(), WorkError> {
    let mut known = tx.prepare_cached("SELECT 1 FROM features WHERE id = ?1")?;
    for fact in facts {
        let Some(space) = spaces::find(tx, &fact.fact.subject.space)? else { continue };
        let mut fact = fact.clone();
        let mut citations = Vec::with_capacity(fact.fact.citations.len());
        for episode in fact.fact.citations {
            if is_stored(tx, space, &episode)? {
                citations.push(episode);
            }
        }
        fact.fact.citations = citations;
        if !fact.fact.citations.is_empty() && !known.exists([fact.fact.id.number()])? {
            let Fact { subject, .. } = &fact.fact;
            insert(tx, subjects::make(tx, space, &subject.owner, &subject.category)?, &fact)?;
        }
    }
    Ok(())
}

/// Deletes a fact, if this space has it.
pub(super) fn delete(tx: &Connection, space: &Space, id: FactId) -> Result<bool, WorkError> {
    let Some(space) = spaces::find(tx, space)? else { return Ok(false) };
    let of_space =
        "DELETE FROM features WHERE id = ?1 AND subject IN (SELECT id FROM subjects WHERE space = ?2)";
    Ok(tx.prepare_cached(of_space)?.execute(params![id.number(), space])? == 1)
}

/// Takes a deleted episode out of the queue and out of all citations, and deletes the facts that rest on no other.
pub(crate) fn forget(tx: &Connection, uid: &[u8; 16]) -> Result<(), WorkError> {
    tx.prepare_cached("DELETE FROM lessons WHERE uid = ?1")?.execute([uid])?;
    let citing = tx
        .prepare_cached("SELECT feature FROM citations WHERE uid = ?1")?
        .query_map([uid], |row| row.get(0))?
        .collect::<Result<Vec<i64>, _>>()?;
    let mut uncite = tx.prepare_cached("DELETE FROM citations WHERE feature = ?1 AND uid = ?2")?;
    let mut baseless = tx.prepare_cached(
        "DELETE FROM features WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM citations WHERE feature = ?1)",
    )?;
    for feature in citing {
        uncite.execute(params![feature, uid])?;
        baseless.execute([feature])?;
    }
    Ok(())
}
