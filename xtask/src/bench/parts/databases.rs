//! PostgreSQL, and Neo4j with PostgreSQL, as ratios to the embedded engine in the same run. Requests go to each engine in
//! turn, so whatever else the machine does affects all alike.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use memcloud_api::memmachine_v1::{Batch, SearchQuery, Session};
use memcloud_api::{Integer, Nullable, Object};
use memcloud_client::Client;
use memcloud_ports::{ContentLocation, Engine};
use memcloud_store_neo4j::GraphStore;
use memcloud_store_postgres::PostgresStore;
use memcloud_store_sqlite::SqliteStore;
use memcloud_test_servers::{Database, SharedNeo4j, SharedPostgres};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::{GROUP, episode, evidence, fill, search_request, session, store_request};
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::server::Server;
use crate::bench::{Bench, texts};
use crate::databases::Databases;
use crate::steps::target_dir;

const STORES: usize = 500;
const WARMING_STORES: usize = 500;
const SEARCHES: usize = 400;
/// Neo4j compiles what it runs often, and reaches its full speed after some thousand queries.
const WARMING_SEARCHES: usize = 2_000;
const WARM: usize = 40;
const BATCH: usize = 100;
const BATCHES: usize = 15;
const COLD_STARTS: usize = 3;
/// A second space in the same databases, small enough that a loss in it would not show in the figures of the first.
const SMALL: &str = "small";
const SMALL_MESSAGES: usize = 100;

/// Stores on databases.
pub(in crate::bench) fn writing(bench: &Bench) -> Result<Vec<Figure>> {
    on_databases(|places| stores(bench, places))
}

/// Searches on databases.
pub(in crate::bench) fn reading(bench: &Bench) -> Result<Vec<Figure>> {
    let sizes = [(5_000, None), (10_000, Some(0.6)), (100_000, Some(2.0))];
    on_databases(|places| {
        let figures = sizes.map(|(messages, cold_limit)| searches(bench, places, messages, cold_limit));
        Ok(figures.into_iter().collect::<Result<Vec<_>>>()?.concat())
    })
}

/// What is found on databases.
pub(in crate::bench) fn evidence(bench: &Bench) -> Result<Vec<Figure>> {
    let (Some(data), Some(scorer)) = (&bench.args.data, &bench.args.scorer) else { return Ok(Vec::new()) };
    on_databases(|places| recall(bench, places, data, scorer))
}

fn on_databases(measure: impl FnOnce(&Places<'_>) -> Result<Vec<Figure>>) -> Result<Vec<Figure>> {
    let databases = Databases::start(&target_dir()?)?;
    measure(&Places { environment: databases.environment() })
}

/// An engine with a memory of its own.
struct Contender {
    name: &'static str,
    settings: Vec<(&'static str, String)>,
    data: TempDir,
    // Dropped with everything in it.
    _database: Option<Database>,
}

/// Where the databases are.
struct Places<'a> {
    environment: &'a [(&'static str, std::ffi::OsString)],
}

impl Places<'_> {
    /// The three engines, each empty.
    fn engines(&self) -> Result<[Contender; 3]> {
        let engine = |name, settings, database| {
            Ok::<_, anyhow::Error>(Contender {
                name,
                settings,
                data: tempfile::tempdir()?,
                _database: database,
            })
        };
        let (alone, records) = (self.postgres().create_database(), self.postgres().create_database());
        let postgres = vec![("DATABASE_URL", alone.url())];
        let graph = self.neo4j();
        let graph = vec![
            ("DATABASE_URL", records.url()),
            ("NEO4J_URI", graph.uri()),
            ("NEO4J_USER", graph.user().to_owned()),
            ("NEO4J_PASSWORD", graph.password().to_owned()),
        ];
        Ok([
            engine("embedded", Vec::new(), None)?,
            engine("PostgreSQL", postgres, Some(alone))?,
            engine("Neo4j + PostgreSQL", graph, Some(records))?,
        ])
    }

    fn variable(&self, name: &str) -> Option<String> {
        let found = self.environment.iter().find(|(other, _)| *other == name);
        found.and_then(|(_, value)| value.to_str().map(str::to_owned)).or_else(|| std::env::var(name).ok())
    }

    fn postgres(&self) -> SharedPostgres {
        SharedPostgres::at(&self.variable(memcloud_test_servers::POSTGRES_URL).unwrap_or_default())
    }

    fn neo4j(&self) -> SharedNeo4j {
        SharedNeo4j::at(&self.variable(memcloud_test_servers::NEO4J_URI).unwrap_or_default())
    }
}

impl Contender {
    fn serve(&self, bench: &Bench) -> Result<Server> {
        Server::start_on(bench, self.data.path(), &self.settings)
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.settings.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone())
    }

    /// Fills two spaces through the engine itself, and waits until its background work is done.
    fn fill(&self, bench: &Bench, messages: usize) -> Result<()> {
        let dimensions = bench.model.dimensions();
        bench.wait(async {
            let (store, graph) = self.open().await?;
            fill::fill_store(&store, GROUP, messages, dimensions).await?;
            fill::fill_store(&store, SMALL, SMALL_MESSAGES, dimensions).await?;
            if let Some(graph) = graph {
                graph.settle().await?;
            }
            Ok(())
        })
    }

    async fn open(&self) -> Result<(Engine, Option<Arc<GraphStore>>)> {
        let Some(url) = self.setting("DATABASE_URL") else {
            return Ok((
                Engine::of(Arc::new(
                    SqliteStore::open(self.data.path(), Arc::new(memcloud_domain::SystemClock)).await?,
                )),
                None,
            ));
        };
        let target = memcloud_store_postgres::Target::from_url(&url, None)?;
        let Some(uri) = self.setting("NEO4J_URI") else {
            return Ok((
                Engine::of(Arc::new(
                    PostgresStore::open(target, Arc::new(memcloud_domain::SystemClock)).await,
                )),
                None,
            ));
        };
        let password = self.setting("NEO4J_PASSWORD").map(Into::into);
        let graph = memcloud_store_neo4j::Target::from_uri(&uri, self.setting("NEO4J_USER"), password, None)?;
        let records = Arc::new(
            PostgresStore::open_for(target, Arc::new(memcloud_domain::SystemClock), ContentLocation::Graph)
                .await,
        );
        let graph = Arc::new(GraphStore::open(graph, records).await);
        Ok((Arc::clone(&graph).engine(), Some(graph)))
    }
}

/// Stores one by one, and in batches.
fn stores(bench: &Bench, places: &Places<'_>) -> Result<Vec<Figure>> {
    let engines = places.engines()?;
    let servers = engines.iter().map(|engine| engine.serve(bench)).collect::<Result<Vec<_>>>()?;
    let clients = servers.iter().map(Server::client).collect::<Result<Vec<_>>>()?;
    // Batches come first, so that Neo4j has compiled its queries when single stores are measured.
    let batched = by_turns(&clients, BATCHES, |client, number| {
        let episodes = (number * BATCH..(number + 1) * BATCH).map(|n| episode(&texts::message(n))).collect();
        let batch = Batch { session: Some(session()), episodes };
        Ok(bench.timed(client.store_batch(&number.to_string(), &batch))?.1)
    })?;
    for number in 0..WARMING_STORES {
        for client in &clients {
            bench.wait(client.store(&store_request(&texts::message(number))))?;
        }
    }
    let stored = by_turns(&clients, WARM + STORES, |client, number| {
        Ok(bench.timed(client.store(&store_request(&texts::message(number))))?.1)
    })?;
    let mut figures = Vec::new();
    for (at, most) in [(1, Target::None), (2, Target::AtMost(2.5))] {
        figures.push(ratio(&engines[at], "store one message, p50", stored[at], stored[0], most));
    }
    for (at, least) in [(1, Target::None), (2, Target::AtLeast(0.6))] {
        figures.push(Figure {
            name: format!("bulk import, {} / embedded", engines[at].name),
            value: batched[0] / batched[at],
            unit: "x",
            target: least,
            detail: format!("{:.0} and {:.0} messages/s", rate(batched[at]), rate(batched[0])),
        });
    }
    Ok(figures)
}

fn rate(millis: f64) -> f64 {
    BATCH as f64 / millis * 1e3
}

/// Searches a space of `messages`, cold and warm, with and without a filter, and a small space next to it.
fn searches(
    bench: &Bench,
    places: &Places<'_>,
    messages: usize,
    cold_limit: Option<f64>,
) -> Result<Vec<Figure>> {
    let engines = places.engines()?;
    for engine in &engines {
        engine.fill(bench, messages)?;
    }
    let mut figures = Vec::new();
    if let Some(limit) = cold_limit {
        figures.extend(
            engines.iter().map(|engine| cold(bench, engine, messages, limit)).collect::<Result<Vec<_>>>()?,
        );
    }
    let servers = engines.iter().map(|engine| engine.serve(bench)).collect::<Result<Vec<_>>>()?;
    let clients = servers.iter().map(Server::client).collect::<Result<Vec<_>>>()?;
    for number in 0..WARMING_SEARCHES {
        for client in &clients {
            bench.wait(client.search(&search_request(&texts::question(number))))?;
        }
    }
    let warm = by_turns(&clients, WARM + SEARCHES, |client, number| {
        Ok(bench.timed(client.search(&search_request(&texts::question(number))))?.1)
    })?;
    for (at, most) in [(1, Target::None), (2, Target::AtMost(2.0))] {
        let name = format!("search {messages} messages, p50");
        figures.push(ratio(&engines[at], &name, warm[at], warm[0], most));
    }
    if messages == 100_000 {
        figures.push(filtered(bench, &clients[2], messages)?);
        figures.push(small_beside_large(bench, &clients[2])?);
    }
    Ok(figures)
}

/// The first search of a server that has just started, from the request to the answer.
fn cold(bench: &Bench, engine: &Contender, messages: usize, limit: f64) -> Result<Figure> {
    let mut times = Vec::new();
    for number in 0..COLD_STARTS {
        let server = engine.serve(bench)?;
        let client = server.client()?;
        let (hits, took) = bench.timed(client.search(&search_request(&texts::question(number))))?;
        ensure!(hits.len() == 10, "a cold search found {} hits", hits.len());
        times.push(took.as_secs_f64());
    }
    let target = if engine.name == "Neo4j + PostgreSQL" { Target::AtMost(limit) } else { Target::None };
    Ok(Figure {
        name: format!("first search of {messages}, cold, {}", engine.name),
        value: median(times),
        unit: "s",
        target,
        detail: format!("middle of {COLD_STARTS}"),
    })
}

/// A filter that keeps one message in a hundred: every match is found, nothing else is, and it takes no longer than
/// without the filter.
fn filtered(bench: &Bench, client: &Client, messages: usize) -> Result<Figure> {
    let lot = 42;
    let all = SearchQuery { filter: of_lot(lot), ..for_all(search_request(&texts::question(0))) };
    let hits = bench.wait(client.search(&all))?;
    let expected: std::collections::BTreeSet<String> =
        (0..messages).filter(|number| number % fill::LOTS == lot).map(texts::message).collect();
    let found = hits.iter().map(|hit| hit.episode.content.clone());
    ensure!(
        found.collect::<std::collections::BTreeSet<_>>() == expected,
        "the hits are not the matches of a brute-force filter"
    );
    ensure!(hits.len() == messages / fill::LOTS, "{} hits of {}", hits.len(), messages / fill::LOTS);
    let (with, without) = two_by_turns(bench, client, |number, filtered| {
        let filter = if filtered { of_lot(number % fill::LOTS) } else { Nullable::Absent };
        SearchQuery { filter, ..search_request(&texts::question(number)) }
    })?;
    Ok(Figure {
        name: format!("search with a filter that keeps 1 % of {messages} / without"),
        value: with / without,
        unit: "x",
        target: Target::AtMost(1.0),
        detail: format!("{with:.2} and {without:.2} ms; all {} matches found", hits.len()),
    })
}

/// Keeps the messages of one lot.
fn of_lot(lot: usize) -> Nullable<Object> {
    Nullable::Value(Object(Map::from_iter([("metadata.lot".into(), lot.into())])))
}

/// The same search for as many hits as there can be.
fn for_all(search: SearchQuery) -> SearchQuery {
    SearchQuery { limit: Some(Integer(1_000)), ..search }
}

/// A space of a hundred messages next to one of a hundred thousand: all of them are found, as fast as alone.
fn small_beside_large(bench: &Bench, client: &Client) -> Result<Figure> {
    let in_small = |number: usize| {
        let session = Session { group_id: SMALL.into(), ..session() };
        SearchQuery { session: Some(session), ..search_request(&texts::question(number)) }
    };
    let hits = bench.wait(client.search(&for_all(in_small(0))))?;
    ensure!(hits.len() == SMALL_MESSAGES, "a message of the small space was not found");
    let (small, large) = two_by_turns(bench, client, |number, small| {
        if small { in_small(number) } else { search_request(&texts::question(number)) }
    })?;
    Ok(Figure {
        name: "search 100 messages next to 100000 / search those".into(),
        value: small / large,
        unit: "x",
        target: Target::AtMost(1.0),
        detail: format!("{small:.2} and {large:.2} ms; all {SMALL_MESSAGES} found"),
    })
}

/// The recall of each engine, as the scorer counts it.
fn recall(bench: &Bench, places: &Places<'_>, data: &Path, scorer: &Path) -> Result<Vec<Figure>> {
    let mut shares = Vec::new();
    for engine in places.engines()? {
        shares.push((engine.name, recall_at_ten(bench, &engine, data, scorer)?));
    }
    let embedded = shares[0].1;
    Ok(shares
        .into_iter()
        .map(|(name, share)| Figure {
            name: format!("evidence found, recall@10, {name} less embedded"),
            value: (share - embedded).abs(),
            unit: "points",
            target: Target::AtMost(0.1),
            detail: format!("{share:.2} and {embedded:.2} %"),
        })
        .collect())
}

fn recall_at_ten(bench: &Bench, engine: &Contender, data: &Path, scorer: &Path) -> Result<f64> {
    let result: Value = evidence::score(&engine.serve(bench)?, data, scorer)?;
    Ok(result["all"]["recall@10"].as_f64().context("the scorer reports no recall")? * 100.0)
}

/// One request to each in turn. Answers the median times in milliseconds, without the first few.
fn by_turns(
    clients: &[Client],
    count: usize,
    mut request: impl FnMut(&Client, usize) -> Result<Duration>,
) -> Result<Vec<f64>> {
    let mut times = vec![Vec::new(); clients.len()];
    for number in 0..count {
        for (client, times) in clients.iter().zip(&mut times) {
            times.push(millis(request(client, number)?));
        }
    }
    let warm = if count > WARM { WARM } else { 0 };
    Ok(times.into_iter().map(|times| median(times[warm..].to_vec())).collect())
}

/// Two kinds of searches on one server, alternating. Answers the median times in milliseconds.
fn two_by_turns(
    bench: &Bench,
    client: &Client,
    request: impl Fn(usize, bool) -> SearchQuery,
) -> Result<(f64, f64)> {
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..SEARCHES {
        for (one, times) in [true, false].into_iter().zip(&mut times) {
            times.push(millis(bench.timed(client.search(&request(number, one)))?.1));
        }
    }
    let [one, other] = times;
    Ok((median(one), median(other)))
}

fn ratio(engine: &Contender, what: &str, value: f64, embedded: f64, target: Target) -> Figure {
    Figure {
        name: format!("{what}, {} / embedded", engine.name),
        value: value / embedded,
        unit: "x",
        target,
        detail: format!("{value:.2} and {embedded:.2} ms"),
    }
}
