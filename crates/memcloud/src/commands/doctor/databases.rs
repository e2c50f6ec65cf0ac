//! The databases of an instance, opened as a server opens them.

use std::time::Duration;

use memcloud_api::PrefixedId;
use memcloud_domain::{EpisodeId, Error, with_causes};
use memcloud_instance::engines::{neo4j as graph, neo4j::AURA_FREE, postgres as records};
use memcloud_ports::{ContentLocation, DamagedRow};

use super::{Finding, lost};
use crate::hint::hint;

/// Also returns the name of the memory.
pub(super) async fn postgres(target: &records::Target, home: ContentLocation) -> (Finding, Option<String>) {
    let part = "postgres";
    let place = target.place();
    let found = match records::examine(target, home, std::sync::Arc::new(memcloud_domain::SystemClock)).await
    {
        Ok(found) => found,
        Err(error) => return (unusable(part, &place, &error), None),
    };
    (postgres_finding(target, &place, &found), Some(found.memory))
}

fn postgres_finding(target: &records::Target, place: &str, found: &records::Findings) -> Finding {
    let part = "postgres";
    let (open, most) = found.connections;
    let detail = format!(
        "PostgreSQL {} with pgvector {} at {place}; {}; {}; schema {}; {}; {open} of {most} connections open; {} memories",
        found.version,
        found.pgvector,
        millis(found.latency),
        found.protection,
        found.schema,
        if found.owner { "may change the schema" } else { "may not change the schema" },
        found.episodes,
    );
    let mut damaged = damage(found.unreadable.as_deref()).into_iter();
    if let Some(first) = damaged.next() {
        return Finding::failed(part, format!("{detail}; {first}"), DAMAGED).listing(damaged);
    }
    if !found.writable {
        let hint = "set DB_HOST to the primary, or make the database writable again";
        return Finding::failed(part, format!("{detail}; it is read-only"), hint);
    }
    if !found.durable {
        let hint = "set fsync = on in postgresql.conf: without it a crash loses what was answered as stored";
        return Finding::failed(part, format!("{detail}; fsync is off"), hint);
    }
    if !found.broken_indexes.is_empty() {
        let names = found.broken_indexes.join(", ");
        let hint = format!("REINDEX INDEX CONCURRENTLY memcloud.{}", found.broken_indexes[0]);
        return Finding::failed(part, format!("{detail}; invalid indexes: {names}"), hint);
    }
    if open + target.pool as i64 > most - RESERVED {
        let hint = "lower DB_POOL, or raise max_connections: the next server would not get its connections";
        return Finding::warned(part, format!("{detail}; indexes valid"), hint);
    }
    Finding::ok(part, format!("{detail}; indexes valid; {}", tried(found.unreadable.as_deref())))
}

/// The connections that PostgreSQL reserves for superusers, by default.
const RESERVED: i64 = 3;

pub(super) async fn neo4j(target: &graph::Target, memory: Option<&str>) -> Finding {
    let part = "neo4j";
    let place = target.place();
    let found = match graph::examine(target, memory).await {
        Ok(found) => found,
        Err(error) => return unusable(part, &place, &error),
    };
    let waiting: Vec<String> = found
        .indexes
        .iter()
        .filter(|index| index.state != "ONLINE")
        .map(|index| format!("{} {} at {:.0} %", index.name, index.state.to_lowercase(), index.percent))
        .collect();
    let indexes = if waiting.is_empty() {
        format!("{} indexes online", found.indexes.len())
    } else {
        format!("indexes: {}", waiting.join(", "))
    };
    let room = if target.is_aura() {
        AURA_FREE.usage(found.nodes, found.relationships)
    } else {
        format!("{} nodes, {} relationships", found.nodes, found.relationships)
    };
    let detail = format!(
        "Neo4j {} {} at {place}; {}; {}; schema {}; {indexes}; {room}",
        found.version,
        found.edition,
        millis(found.latency),
        found.protection,
        found.schema,
    );
    let mut damaged = damage(found.unreadable.as_deref()).into_iter();
    if let Some(first) = damaged.next() {
        return Finding::failed(part, format!("{detail}; {first}"), DAMAGED).listing(damaged);
    }
    if let Some(why) = found.refuses_writes {
        let hint = "let the user of NEO4J_USER write, or make the database writable again";
        return Finding::failed(part, format!("{detail}; {why}"), hint);
    }
    if found.indexes.iter().any(|index| index.state == "FAILED") {
        let hint = "DROP INDEX <name> in Neo4j and start a server: it creates the index again";
        return Finding::failed(part, detail, hint);
    }
    if !waiting.is_empty() {
        return Finding::warned(part, detail, "wait until Neo4j has filled its indexes");
    }
    if target.is_aura() && AURA_FREE.share(found.nodes, found.relationships) >= AURA_FREE.warn_at {
        let hint = "if this is Aura Free: move to a larger plan, or delete memories";
        return Finding::warned(part, detail, hint);
    }
    Finding::ok(part, format!("{detail}; may write; {}", tried(found.unreadable.as_deref())))
}

/// What to do about rows that cannot be read.
const DAMAGED: &str = "restore a backup of the database; or repair these rows, then start the servers again; or delete these \
                       memories by their ids";

/// The rows that cannot be read.
fn damage(unreadable: Option<&[DamagedRow<EpisodeId>]>) -> Vec<String> {
    lost(unreadable.unwrap_or_default(), |id| PrefixedId(*id).to_string())
}

/// That all memories were read, or not.
fn tried(unreadable: Option<&[DamagedRow<EpisodeId>]>) -> &'static str {
    if unreadable.is_some() { "each memory was read" } else { "not all memories were read" }
}

fn unusable(part: &'static str, place: &str, error: &Error) -> Finding {
    Finding::failed(part, format!("{place}: {}", with_causes(error)), hint(error))
}

fn millis(latency: Duration) -> String {
    format!("{:.1} ms round trip", latency.as_secs_f64() * 1e3)
}
