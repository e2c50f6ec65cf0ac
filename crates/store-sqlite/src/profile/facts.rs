//! Facts, current and past.

use std::collections::HashSet;

use memcloud_domain::{EpisodeId, Fact, FactId, FactScope, Timestamp};
use memcloud_ports::{
    Changed, Damage, DamagedRow, EmbeddedFact, FactChanges, FactSets, FactsOf, RevisionSet,
};
use rusqlite::{Connection, Row, params};

use super::targets;
use crate::error::WorkError;
use crate::{read, vectors};

/// What every read of facts selects, in the order that [`fact`] expects.
macro_rules! select_facts {
    ($rest:literal) => {
        concat!(
            "SELECT f.id, ifnull(p.org, s.org), p.project, s.metadata, t.category, f.tag, f.feature, f.value, ",
            "f.valid_from, f.valid_to, f.learned_at, f.prompt, f.model, f.vector, f.metadata ",
            "FROM facts f JOIN targets t ON t.id = f.target JOIN fact_sets s ON s.id = t.fact_set ",
            "LEFT JOIN spaces p ON p.id = s.space ",
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
        target: targets::read(row, 1)?,
        tag: row.get(5)?,
        name: row.get(6)?,
        value: row.get(7)?,
        metadata: targets::from_json(row, 14)?,
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
        connection.prepare_cached("SELECT uid FROM fact_citations WHERE fact = ?1 ORDER BY uid")?;
    let mut all = Vec::new();
    for fact in facts {
        let mut fact = fact?;
        let citations = select.query_map([fact.fact.id.number()], |row| read::id(row, 0))?;
        fact.fact.citations = citations.collect::<Result<_, _>>()?;
        all.push(fact);
    }
    Ok(all)
}

/// The facts that `all` reads. Where one cannot be read, they are read one by one, and those that cannot are noted.
fn readable(
    connection: &Connection,
    damage: &Damage<i64>,
    all: impl FnOnce() -> Result<Vec<EmbeddedFact>, WorkError>,
    is_wanted: impl Fn(&Fact) -> bool,
) -> Result<Vec<EmbeddedFact>, WorkError> {
    match all() {
        Err(error) if error.is_damage() => {}
        read => return read,
    }
    let mut found = Vec::new();
    for id in ids(connection)? {
        found.extend(find(connection, damage, id)?.filter(|known| is_wanted(&known.fact)));
    }
    Ok(found)
}

/// The ids of all facts in their order, also where the table cannot be read.
fn ids(connection: &Connection) -> Result<Vec<FactId>, WorkError> {
    let read = |sql| {
        let mut select = connection.prepare_cached(sql)?;
        select.query_map([], |row| row.get(0).map(FactId::from_number))?.collect::<rusqlite::Result<Vec<_>>>()
    };
    let indexed = read("SELECT id FROM facts INDEXED BY facts_by_target ORDER BY id");
    Ok(indexed.or_else(|_| read("SELECT id FROM facts NOT INDEXED ORDER BY id"))?)
}

/// The facts of some sets, in the order in which they were learned.
pub(super) fn of(
    connection: &Connection,
    damage: &Damage<i64>,
    of: &FactsOf,
) -> Result<Vec<EmbeddedFact>, WorkError> {
    let (sets, scope) = match &of.sets {
        FactSets::Of(scope) => match targets::scope(connection, scope)? {
            Some(scope) => (None, Some(scope)),
            None => return Ok(Vec::new()),
        },
        FactSets::These(sets) => {
            let rows = sets.iter().filter_map(|set| targets::find_set(connection, set).transpose());
            (Some(targets::json(&rows.collect::<Result<Vec<i64>, _>>()?)), None)
        }
    };
    let mut select = connection.prepare_cached(select_facts!(
        "WHERE t.fact_set IN (SELECT value FROM json_each(?1)
                              UNION ALL SELECT id FROM fact_sets WHERE ifnull(space, 0) = ?2 AND org = ?3)
           AND (?4 IS NULL OR t.category = ?4)
           AND ((?5 IS NULL AND f.valid_to IS NULL)
             OR (f.valid_from <= ?5 AND (f.valid_to IS NULL OR f.valid_to > ?5)))
         ORDER BY f.id"
    ))?;
    let (space, org) = (scope.as_ref().map(|scope| scope.space), scope.as_ref().map(|scope| &scope.org));
    let as_of = of.as_of.map(Timestamp::as_micros);
    let all = || cited(connection, select.query_map(params![sets, space, org, of.category, as_of], fact)?);
    readable(connection, damage, all, |fact| of.contains(fact))
}

/// A fact, if it is known and can be read.
pub(crate) fn find(
    connection: &Connection,
    damage: &Damage<i64>,
    id: FactId,
) -> Result<Option<EmbeddedFact>, WorkError> {
    let mut select = connection.prepare_cached(select_facts!("WHERE f.id = ?1"))?;
    match cited(connection, select.query_map([id.number()], fact)?) {
        Err(error) if error.is_damage() => {
            damage.note_row(DamagedRow::Fact(id));
            Ok(None)
        }
        read => Ok(read?.pop()),
    }
}

/// All facts by id, after this one.
pub(crate) fn all(
    connection: &Connection,
    damage: &Damage<i64>,
    after: Option<FactId>,
    limit: usize,
) -> Result<Vec<EmbeddedFact>, WorkError> {
    let mut select = connection.prepare_cached(select_facts!("WHERE f.id > ?1 ORDER BY f.id LIMIT ?2"))?;
    let first = after.map_or(i64::MIN, FactId::number);
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let page = || cited(connection, select.query_map(params![first, most], fact)?);
    let mut found = readable(connection, damage, page, |fact| after.is_none_or(|after| fact.id > after))?;
    found.truncate(limit);
    Ok(found)
}

/// Changes what is known about a target; `None` if its space is unknown.
pub(super) fn revise(
    tx: &Connection,
    damage: &Damage<i64>,
    set: &RevisionSet,
) -> Result<Option<Changed>, WorkError> {
    let Some(target) = targets::make(tx, &set.target)? else { return Ok(None) };
    let mut holding =
        tx.prepare_cached(select_facts!("WHERE f.target = ?1 AND f.valid_to IS NULL ORDER BY f.id"))?;
    let holds = |fact: &Fact| fact.target == set.target && fact.valid_to.is_none();
    let current = readable(tx, damage, || cited(tx, holding.query_map([target], fact)?), holds)?;
    let newest: Option<i64> = tx.query_row("SELECT max(id) FROM facts", [], |row| row.get(0))?;
    let stored = stored(tx, &set.target.set.scope, set.cited())?;
    let changed = set.change(current, newest.map(FactId::from_number), stored);
    write(tx, target, &changed)?;
    Ok(Some(changed))
}

/// Those of the episodes that exist in the scope.
pub(super) fn stored(
    tx: &Connection,
    scope: &FactScope,
    episodes: impl IntoIterator<Item = EpisodeId>,
) -> Result<HashSet<EpisodeId>, WorkError> {
    let mut stored = tx.prepare_cached(
        "SELECT 1 FROM episodes e JOIN spaces p ON p.id = e.space
         WHERE e.uid = ?1 AND p.org = ?2 AND (?3 IS NULL OR p.project = ?3)",
    )?;
    let mut found = HashSet::new();
    for episode in episodes {
        if stored.exists(params![episode.as_bytes(), scope.org, scope.project])? {
            found.insert(episode);
        }
    }
    Ok(found)
}

fn write(tx: &Connection, target: i64, changed: &Changed) -> Result<(), WorkError> {
    for fact in &changed.learned {
        insert(tx, target, fact)?;
    }
    for (id, episode) in &changed.cited {
        cite(tx, *id, episode)?;
    }
    let mut end = tx.prepare_cached("UPDATE facts SET valid_to = ?2 WHERE id = ?1")?;
    for (id, at) in &changed.ended {
        end.execute(params![id.number(), at.as_micros()])?;
    }
    Ok(())
}

/// Stores a fact, or replaces the one with its id.
fn insert(tx: &Connection, target: i64, fact: &EmbeddedFact) -> Result<(), WorkError> {
    let vector = fact.vector.as_deref().map(vectors::encode);
    let fact = &fact.fact;
    tx.prepare_cached(
        "INSERT INTO facts (id, target, tag, feature, value, metadata, valid_from, valid_to, learned_at, prompt, model,
                            vector)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (id) DO UPDATE SET target = ?2, tag = ?3, feature = ?4, value = ?5, metadata = ?6, vector = ?12",
    )?
    .execute(params![
        fact.id.number(),
        target,
        fact.tag,
        fact.name,
        fact.value,
        targets::json(&fact.metadata),
        fact.valid_from.as_micros(),
        fact.valid_to.map(Timestamp::as_micros),
        fact.learned_at.as_micros(),
        fact.prompt,
        fact.model,
        vector,
    ])?;
    fact.citations.iter().try_for_each(|episode| cite(tx, fact.id, episode))
}

/// Changes a fact of this scope; `false` if it is unknown there.
pub(super) fn update(
    tx: &Connection,
    damage: &Damage<i64>,
    scope: &FactScope,
    id: FactId,
    changes: &FactChanges,
) -> Result<bool, WorkError> {
    let Some(known) = find(tx, damage, id)?.filter(|known| known.fact.target.set.scope == *scope) else {
        return Ok(false);
    };
    let changed = changes.apply(known, stored(tx, scope, changes.citations.iter().flatten().copied())?);
    let Some(target) = targets::make(tx, &changed.fact.target)? else { return Ok(false) };
    tx.prepare_cached("DELETE FROM fact_citations WHERE fact = ?1")?.execute([id.number()])?;
    insert(tx, target, &changed)?;
    Ok(true)
}

fn cite(tx: &Connection, id: FactId, episode: &EpisodeId) -> Result<(), WorkError> {
    tx.prepare_cached("INSERT OR IGNORE INTO fact_citations (fact, uid) VALUES (?1, ?2)")?
        .execute(params![id.number(), episode.as_bytes()])?;
    Ok(())
}

/// Stores facts unchanged.
pub(super) fn put(tx: &Connection, facts: &[EmbeddedFact]) -> Result<(), WorkError> {
    let mut known = tx.prepare_cached("SELECT 1 FROM facts WHERE id = ?1")?;
    for new in facts {
        let Fact { id, target, citations, .. } = &new.fact;
        let stored = stored(tx, &target.set.scope, citations.iter().copied())?;
        let lost_all = stored.is_empty() && !citations.is_empty();
        if lost_all || known.exists([id.number()])? {
            continue;
        }
        let Some(target) = targets::make(tx, target)? else { continue };
        let mut new = new.clone();
        new.fact.citations.retain(|episode| stored.contains(episode));
        insert(tx, target, &new)?;
    }
    Ok(())
}

/// Deletes a fact; `false` if it is unknown in this scope.
pub(super) fn delete(tx: &Connection, scope: &FactScope, id: FactId) -> Result<bool, WorkError> {
    let Some(scope) = targets::scope(tx, scope)? else { return Ok(false) };
    let of_scope = "DELETE FROM facts WHERE id = ?1 AND target IN (
                        SELECT t.id FROM targets t JOIN fact_sets s ON s.id = t.fact_set
                        WHERE ifnull(s.space, 0) = ?2 AND s.org = ?3)";
    Ok(tx.prepare_cached(of_scope)?.execute(params![id.number(), scope.space, scope.org])? == 1)
}

/// Removes a deleted episode from the queue and from all citations, and deletes the facts that cited it and no other.
pub(crate) fn forget(tx: &Connection, uid: &[u8; 16]) -> Result<(), WorkError> {
    tx.prepare_cached("DELETE FROM queue WHERE uid = ?1")?.execute([uid])?;
    let citing = tx
        .prepare_cached("SELECT fact FROM fact_citations WHERE uid = ?1")?
        .query_map([uid], |row| row.get(0))?
        .collect::<Result<Vec<i64>, _>>()?;
    let mut uncite = tx.prepare_cached("DELETE FROM fact_citations WHERE fact = ?1 AND uid = ?2")?;
    let mut baseless = tx.prepare_cached(
        "DELETE FROM facts WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM fact_citations WHERE fact = ?1)",
    )?;
    for fact in citing {
        uncite.execute(params![fact, uid])?;
        baseless.execute([fact])?;
    }
    Ok(())
}
