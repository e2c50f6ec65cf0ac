mod databases;
mod llm;

use std::path::Path;

use memcloud_api::Integer;
use memcloud_api::memmachine_v1::{NewEpisode, SearchQuery, Session};
use memcloud_client::{Client, ListQuery};
use memcloud_domain::{Error, with_causes};
use memcloud_instance::engines::holds_memory;
use memcloud_instance::{Engines, LocalModel};
use serde_json::{Value, json};

use crate::client::{connect, named_url};
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::hint::hint;
use crate::opening;
use crate::output::Output;
use crate::settings::{ClientFlags, DataFlags, engines, llm as llm_settings, remote_embedding};

/// The group that the round trip is made in. It is left empty.
const GROUP: &str = "memcloud-doctor";
/// Less free space than this will not do for long.
const LEAST_FREE_BYTES: u64 = 256 << 20;

/// Try every part end to end; name what is broken and how to fix it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    client: ClientFlags,
    /// Retry messages whose profile extraction failed permanently
    #[arg(long)]
    retry_parked: bool,
    /// Only ask the server whether it is alive, as the health check of a container does
    #[arg(long)]
    live: bool,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    /// It works, but not for long.
    Warned,
    Failed,
    Skipped,
}

/// One part, as it was found.
struct Finding {
    part: &'static str,
    state: State,
    detail: String,
    hint: String,
}

impl Finding {
    fn ok(part: &'static str, detail: impl Into<String>) -> Self {
        Self { part, state: State::Ok, detail: detail.into(), hint: String::new() }
    }

    fn warned(part: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { part, state: State::Warned, detail: detail.into(), hint: hint.into() }
    }

    fn skipped(part: &'static str, detail: impl Into<String>) -> Self {
        Self { part, state: State::Skipped, detail: detail.into(), hint: String::new() }
    }

    fn failed(part: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { part, state: State::Failed, detail: detail.into(), hint: hint.into() }
    }

    fn of(part: &'static str, tried: Result<String, Failure>) -> Self {
        match tried {
            Ok(detail) => Self::ok(part, detail),
            Err(failure) => Self::failed(part, failure.message, failure.hint),
        }
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &args.client)?;
    let is_named = named_url(&context.sources, &args.client).is_some();
    if args.live {
        return alive(&client, context.output).await;
    }
    let data_dir = args.data.data_dir(&context.sources)?;
    let model = args.data.model(&context.sources)?;
    let engines = engines(&context.sources)?;
    let embedding = remote_embedding(&context.sources)?;
    let (language, notice) = llm_settings(&context.sources)?;
    let mut findings = vec![data_directory(&data_dir), free_space(&data_dir)];
    tell(&findings, context.output);
    let mut found = |part: Vec<Finding>| {
        tell(&part, context.output);
        findings.extend(part);
    };
    found(keeping(&engines, &data_dir).await);
    found(vec![match &embedding {
        Some(settings) => llm::embedding(settings).await,
        None => embedding_model(&model).await,
    }]);
    found(vec![llm::model(language.as_ref(), notice).await]);
    let server = server(&client, is_named).await;
    let serves = server.iter().any(|finding| finding.part == "round trip");
    found(server);
    if serves {
        found(vec![llm::queue_of(&client, args.retry_parked).await]);
    } else {
        let learning = language.is_some_and(|language| language.options.profile.is_some());
        let queue = llm::queue_in(&engines, &data_dir, learning, args.retry_parked).await;
        found(queue.into_iter().collect());
    }
    let broken = findings.iter().filter(|finding| finding.state == State::Failed).count();
    if context.output.json {
        context.output.value(&report(&findings));
    } else {
        let verdict = if broken == 0 { "nothing is broken".into() } else { format!("{broken} broken") };
        context.output.data(verdict);
    }
    Ok(if broken == 0 { Exit::Ok } else { Exit::Failed })
}

/// Asks for liveness alone, which needs no key and costs the server nothing.
async fn alive(client: &Client, output: Output) -> Result<Exit, Failure> {
    let answer = client.live().await?;
    if output.json {
        output.value(&answer);
    } else {
        output.data(format!("{} is alive", client.url()));
    }
    Ok(Exit::Ok)
}

fn tell(findings: &[Finding], output: Output) {
    if output.json {
        return;
    }
    for Finding { part, state, detail, hint } in findings {
        let state = match state {
            State::Ok => "ok",
            State::Warned => "warn",
            State::Failed => "failed",
            State::Skipped => "-",
        };
        output.data(format!("{state:<7}{part:<11}{detail}"));
        if !hint.is_empty() {
            output.data(format!("{:18}hint: {hint}", ""));
        }
    }
}

fn report(findings: &[Finding]) -> Value {
    let parts: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let state = match finding.state {
                State::Ok => "ok",
                State::Warned => "warning",
                State::Failed => "failed",
                State::Skipped => "skipped",
            };
            json!({"part": finding.part, "state": state, "detail": finding.detail, "hint": finding.hint})
        })
        .collect();
    json!({"ok": findings.iter().all(|finding| finding.state != State::Failed), "parts": parts})
}

fn data_directory(dir: &Path) -> Finding {
    let part = "data";
    let place = dir.display();
    match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => Finding::ok(part, place.to_string()),
        Ok(_) => Finding::failed(part, format!("{place} is no directory"), "choose another with --data-dir"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::skipped(part, format!("{place} does not exist yet; 'memcloud up' makes it"))
        }
        Err(error) => {
            let failure = Failure::file("read", dir, &error);
            Finding::failed(part, failure.message, failure.hint)
        }
    }
}

fn free_space(dir: &Path) -> Finding {
    let part = "disk";
    let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(existing) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let detail = format!("{:.1} GB free on the disk of {}", free as f64 / 1e9, existing.display());
            if free < LEAST_FREE_BYTES {
                Finding::failed(part, detail, "free space on that disk, or choose another --data-dir")
            } else {
                Finding::ok(part, detail)
            }
        }
        Err(error) => {
            Finding::failed(part, format!("cannot ask for free space: {error}"), "check the data directory")
        }
    }
}

/// The files of the model with their hashes, its kernel, and one text embedded. To do without is allowed.
async fn embedding_model(model: &LocalModel) -> Finding {
    let part = "model";
    match model.examine().await {
        Ok(None) => {
            Finding::skipped(part, "there is none here: searches go by words alone; 'memcloud up' fetches it")
        }
        Ok(Some(found)) => Finding::ok(part, opening::examined(&found)),
        Err(error) => Finding::of(part, Err(error.into())),
    }
}

/// The engines that keep the memory: the store in the data directory, and the databases, each for itself.
async fn keeping(engines: &Engines, dir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &engines.postgres {
        Some(target) => findings.push(databases::postgres(target, engines.content_location()).await),
        None => findings.push(store(dir, engines).await),
    }
    if let Some(target) = &engines.graph {
        findings.push(databases::neo4j(target).await);
    }
    findings
}

/// Writes and reads in the store itself, unless a running server holds it: then its readiness says so.
async fn store(dir: &Path, engines: &Engines) -> Finding {
    let part = "store";
    if !holds_memory(dir) {
        return Finding::skipped(part, "nothing is stored yet");
    }
    let tried = async {
        let engine = engines.open_local(dir).await?;
        for check in engine.health.probe().await {
            check.outcome?;
        }
        engine.episodes.counts().await
    };
    match tried.await {
        Ok(counts) => Finding::ok(part, format!("written and read; {} memories", counts.episodes)),
        Err(Error::StorageLocked { .. }) => Finding::skipped(part, "a running server holds it; see 'ready'"),
        Err(error) => Finding::failed(part, with_causes(&error), hint(&error)),
    }
}

/// The running server: whether it answers, is ready, takes the key, and stores, finds and deletes.
async fn server(client: &Client, is_named: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    match client.live().await.map_err(Failure::from) {
        Ok(_) => findings.push(Finding::ok("server", client.url())),
        Err(failure) if failure.exit == Exit::Unreachable && !is_named => {
            return vec![Finding::skipped("server", format!("none is running at {}", client.url()))];
        }
        Err(failure) => return vec![Finding::failed("server", failure.message, failure.hint)],
    }
    let any = ListQuery { group_id: GROUP.into(), limit: 1, ..ListQuery::default() };
    let key = client.list(&any).await.map_err(Failure::from);
    let refused = matches!(&key, Err(failure) if failure.exit == Exit::KeyRefused);
    let accepted = if client.has_key() { "accepted" } else { "none is wanted" };
    findings.push(Finding::of("key", key.map(|_| accepted.to_owned())));
    if refused {
        return findings;
    }
    let ready = client.ready().await.map_err(Failure::from);
    findings.push(Finding::of("ready", ready.map(|_| "it says that its parts work".into())));
    findings.push(Finding::of("round trip", round_trip(client).await));
    findings
}

/// Stores a message, finds it, deletes it, and sees that it is gone.
async fn round_trip(client: &Client) -> Result<String, Failure> {
    let session = Session {
        group_id: GROUP.into(),
        session_id: GROUP.into(),
        user_id: Some(vec!["doctor".into()]),
        agent_id: Some(vec![]),
    };
    let said = format!("The stethoscope of {} is in the blue drawer.", std::process::id());
    let episode = NewEpisode {
        session: Some(session.clone()),
        producer: "doctor".into(),
        episode_content: said.clone(),
        ..NewEpisode::default()
    };
    let stored = client.store(&episode).await?;
    let found = find(client, &session, &said).await;
    client.delete(GROUP, stored.id).await?;
    let hint = "see the server's log";
    if !found? {
        return Err(Failure::new("a message that was stored is not found", hint));
    }
    if find(client, &session, &said).await? {
        return Err(Failure::new("a message that was deleted is still found", hint));
    }
    Ok("stored, found, deleted".into())
}

async fn find(client: &Client, session: &Session, said: &str) -> Result<bool, Failure> {
    let query = SearchQuery {
        session: Some(session.clone()),
        query: "Where is the stethoscope?".into(),
        limit: Some(Integer(100)),
        ..SearchQuery::default()
    };
    Ok(client.search(&query).await?.iter().any(|hit| hit.episode.content == said))
}
