mod console;
mod databases;
mod file;
mod llm;

use std::path::Path;

use memcloud_api::Integer;
use memcloud_api::memmachine_v1::{NewEpisode, ORGANIZATION, SearchQuery, Session};
use memcloud_client::{Client, Error as ClientError, ListQuery, Refusal};
use memcloud_domain::{Error, one_line, without_userinfo};
use memcloud_instance::engines::holds_memory;
use memcloud_instance::{Engines, LocalModel};
use memcloud_ports::DamagedRow;
use serde::Serialize;
use serde_json::json;

use crate::client::{connect, named_url};
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::hint::hint;
use crate::opening;
use crate::output::{Line, Output};
use crate::settings::{ClientFlags, DataFlags, engines, llm as llm_settings, remote_embedding};

/// The group of the round trip where the key may not remove groups; nothing of it is left there. Elsewhere the round trip has
/// a group of its own, whose name begins with this one.
const GROUP: &str = "memcloud-doctor";
/// How many unreadable rows of a kind are listed.
const LISTED: usize = 20;
/// With less free space than this, the data directory is soon full.
const LEAST_FREE_BYTES: u64 = 256 << 20;

/// Check every part end to end; name what is broken and how to fix it
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

/// The result of a check. A report for programs has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// The part works.
    Ok,
    /// The part works, but soon may not.
    #[serde(rename = "warning")]
    Warned,
    /// The part does not work.
    Failed,
    /// There is nothing to check.
    Skipped,
    /// The key does not permit the check.
    Unchecked,
}

impl State {
    /// Its name in a report for people, at most six characters.
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warned => "warn",
            Self::Failed => "failed",
            Self::Skipped => "-",
            Self::Unchecked => "?",
        }
    }
}

/// What a check found out about one part.
#[derive(Serialize)]
struct Finding {
    part: &'static str,
    state: State,
    detail: String,
    hint: String,
}

impl Finding {
    /// Detail and hint may quote a server, so each is one line.
    fn new(part: &'static str, state: State, detail: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        let (detail, hint) = (without_userinfo(detail.as_ref()), hint.as_ref());
        Self { part, state, detail: one_line(&detail), hint: one_line(hint) }
    }

    fn ok(part: &'static str, detail: impl AsRef<str>) -> Self {
        Self::new(part, State::Ok, detail, "")
    }

    fn warned(part: &'static str, detail: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self::new(part, State::Warned, detail, hint)
    }

    fn skipped(part: &'static str, detail: impl AsRef<str>) -> Self {
        Self::new(part, State::Skipped, detail, "")
    }

    fn failed(part: &'static str, detail: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self::new(part, State::Failed, detail, hint)
    }

    /// The same with a list of what was found, each in a line of its own.
    fn listing(mut self, found: impl IntoIterator<Item = String>) -> Self {
        for line in found {
            self.detail.extend(["\n                  ", &one_line(&line)]);
        }
        self
    }

    fn broken(part: &'static str, error: impl Into<Failure>) -> Self {
        let Failure { message, hint, .. } = error.into();
        Self::failed(part, message, hint)
    }

    /// A request of a check that failed. One that the key does not permit says nothing about the part.
    fn refused(part: &'static str, error: ClientError) -> Self {
        let Some(refusal) = missing_permission(&error) else { return Self::broken(part, error) };
        let detail = format!("not checked: {}", refusal.detail);
        let hint = refusal.hint.clone().unwrap_or_default();
        Self::new(part, State::Unchecked, detail, hint)
    }
}

/// The refusal of a key that the server knows but that does not permit the request.
fn missing_permission(error: &ClientError) -> Option<&Refusal> {
    error.refusal().filter(|refusal| matches!(refusal.code.as_str(), "forbidden_right" | "forbidden_space"))
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &args.client).await?;
    let is_named = named_url(&context.sources, &args.client).is_some();
    if args.live {
        return alive(&client, context.output).await;
    }
    let data_dir = args.data.data_dir(&context.sources)?;
    let model = args.data.model(&context.sources)?;
    let engines = engines(&context.sources)?;
    let embedding = remote_embedding(&context.sources)?;
    let (language, notice) = llm_settings(&context.sources)?;
    let mut report = Report { findings: Vec::new(), output: context.output };
    report.add([data_directory(&data_dir), free_space(&data_dir)]);
    report.add(storage(&engines, &data_dir).await);
    let (finding, space) = match &embedding {
        Some(settings) => llm::embedding(settings).await,
        None => embedding_model(&model).await,
    };
    report.add([finding]);
    if let Some(space) = space {
        report.add(vectors(&engines, &data_dir, &space).await);
    }
    report.add([llm::model(language.as_ref(), notice).await]);
    let server = server(&client, is_named).await;
    let serves = server.iter().any(|finding| finding.part == "round trip");
    report.add(server);
    if serves {
        report.add([llm::queue_of(&client, args.retry_parked).await]);
    } else {
        let learning = language.is_some_and(|language| language.options.profile.is_some());
        report.add(llm::queue_in(&engines, &data_dir, learning, args.retry_parked).await);
    }
    report.add(console::console(&context.sources, &args.client.console).await);
    Ok(report.finish())
}

/// Checks liveness alone, which needs no key and costs the server nothing.
async fn alive(client: &Client, output: Output) -> Result<Exit, Failure> {
    let answer = client.live().await?;
    output.answer(&answer, |output| output.data(format!("{} is alive", client.url())));
    Ok(Exit::Ok)
}

/// The findings, each printed for people as soon as it is there.
struct Report {
    findings: Vec<Finding>,
    output: Output,
}

impl Report {
    fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            if !self.output.json {
                let Finding { part, state, detail, hint } = &finding;
                let line = Line::from(format!("{:<7}{part:<11}", state.label()));
                self.output.data(line.lines(detail));
                if !hint.is_empty() {
                    self.output.data(format!("{:18}hint: {hint}", ""));
                }
            }
            self.findings.push(finding);
        }
    }

    fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    fn finish(self) -> Exit {
        let (broken, unchecked) = (self.count(State::Failed), self.count(State::Unchecked));
        self.output.answer(&json!({"ok": broken == 0, "parts": self.findings}), |output| {
            let broken = if broken == 0 { "nothing is broken".into() } else { format!("{broken} broken") };
            let unchecked = (unchecked > 0).then(|| format!("; {unchecked} not checked with this key"));
            output.data(broken + &unchecked.unwrap_or_default());
        });
        if broken == 0 { Exit::Ok } else { Exit::Failed }
    }
}

fn data_directory(dir: &Path) -> Finding {
    let part = "data";
    let place = dir.display();
    match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => Finding::ok(part, place.to_string()),
        Ok(_) => {
            Finding::failed(part, format!("{place} is not a directory"), "choose another with --data-dir")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::skipped(part, format!("{place} does not exist yet; 'memcloud up' makes it"))
        }
        Err(error) => Finding::broken(part, Failure::file("read", dir, &error)),
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
            Finding::failed(part, format!("cannot read the free space: {error}"), "check the data directory")
        }
    }
}

/// Checks the files of the model with their hashes, and embeds one text; also returns the vector space. An instance may
/// have no model.
async fn embedding_model(model: &LocalModel) -> (Finding, Option<String>) {
    let part = "model";
    match model.examine().await {
        Ok(None) => {
            let detail = "not found here: search uses words only; 'memcloud up' fetches it";
            (Finding::skipped(part, detail), None)
        }
        Ok(Some(found)) => (Finding::ok(part, opening::examined(&found)), Some(found.space)),
        Err(error) => (Finding::broken(part, error), None),
    }
}

/// Reports stored vectors that come from another model than this one; nothing while a server has the store open.
async fn vectors(engines: &Engines, dir: &Path, running: &str) -> Option<Finding> {
    let engine = engines.open_existing(dir).await?;
    let stored = engine.vectors.vector_space().await.ok().flatten().filter(|stored| stored != running)?;
    let error = Error::OtherVectorSpace { stored, running: running.to_owned() };
    Some(Finding::failed("vectors", error.to_string(), hint(&error)))
}

/// Checks what holds the memory: the store in the data directory, and each database.
async fn storage(engines: &Engines, dir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let examined = if let Some(target) = &engines.postgres {
        Some(databases::postgres(target, engines.content_location()).await)
    } else {
        findings.push(store(dir, engines).await);
        file::database(dir).await
    };
    let (finding, memory) = examined.unzip();
    findings.extend(finding);
    if let Some(target) = &engines.graph {
        findings.push(databases::neo4j(target, memory.flatten().as_deref()).await);
    }
    findings
}

/// Writes and reads in the store itself. A server that runs has it open, and reports on it in its readiness.
async fn store(dir: &Path, engines: &Engines) -> Finding {
    let part = "store";
    if !holds_memory(dir) {
        return Finding::skipped(part, "nothing is stored yet");
    }
    let engine = match engines.open_local(dir).await {
        Ok(engine) => engine,
        Err(Error::StorageLocked { .. }) => {
            return Finding::skipped(part, "a running server has it open; see 'ready'");
        }
        Err(error) => return Finding::broken(part, memcloud_instance::Error::Data(error)),
    };
    let tried = async {
        for check in engine.health.probe().await {
            check.outcome?;
        }
        engine.episodes.counts().await
    };
    match tried.await {
        Ok(counts) => Finding::ok(part, format!("written and read; {} memories", counts.episodes)),
        Err(error) => Finding::broken(part, error),
    }
}

/// Checks the running server: whether it answers, is ready, accepts the key, and stores, finds and deletes.
async fn server(client: &Client, is_named: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    match client.live().await.map_err(Failure::from) {
        Ok(_) => findings.push(Finding::ok("server", client.url())),
        Err(failure) if failure.exit == Exit::Unreachable && !is_named => {
            return vec![Finding::skipped("server", format!("none is running at {}", client.url()))];
        }
        Err(failure) => return vec![Finding::broken("server", failure)],
    }
    let any = ListQuery { group_id: GROUP.into(), limit: 1, ..ListQuery::default() };
    let listed = client.list(&any).await;
    let limit = listed.as_ref().err().and_then(missing_permission).map(|refusal| refusal.detail.clone());
    if let Err(failure) = listed.map_err(Failure::from)
        && limit.is_none()
    {
        let refused = failure.exit == Exit::KeyRefused;
        findings.push(Finding::broken("key", failure));
        if refused {
            return findings;
        }
    } else {
        let accepted = if client.has_key() { "accepted" } else { "none is needed" };
        let limit = limit.map(|limit| format!(", but {limit}")).unwrap_or_default();
        findings.push(Finding::ok("key", format!("{accepted}{limit}")));
    }
    let ready = client.ready().await;
    findings.push(match ready {
        Ok(_) => Finding::ok("ready", "it reports that its parts work"),
        Err(error) => Finding::refused("ready", error),
    });
    findings.push(round_trip(client).await);
    findings
}

/// Stores a message, finds it, deletes it, and checks that it is gone. Then removes its group.
async fn round_trip(client: &Client) -> Finding {
    let part = "round trip";
    let own = format!("{GROUP}-{:016x}", rand::random::<u64>());
    // There is none of this name: the answer says only whether the key may remove one.
    let is_own =
        client.delete_space(ORGANIZATION, &own).await.err().as_ref().and_then(missing_permission).is_none();
    let group = if is_own { own } else { GROUP.to_owned() };
    let session = Session {
        group_id: group.clone(),
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
    let stored = match client.store(&episode).await {
        Ok(stored) => stored,
        Err(error) => return Finding::refused(part, error),
    };
    let found = find(client, &session, &said).await;
    let deleted = client.delete(&group, stored.id).await;
    let left = find(client, &session, &said).await;
    // Whatever else failed, the group goes.
    let removed = if is_own { client.delete_space(ORGANIZATION, &group).await.map(drop) } else { Ok(()) };
    let hint = "see the server's log";
    let outcome = async {
        deleted?;
        removed?;
        Ok((found?, left?))
    };
    match outcome.await {
        Ok((true, false)) => Finding::ok(part, "stored, found, deleted"),
        Ok((false, _)) => Finding::failed(part, "a message that was stored is not found", hint),
        Ok((true, true)) => Finding::failed(part, "a message that was deleted is still found", hint),
        Err(error) => Finding::refused(part, error),
    }
}

async fn find(client: &Client, session: &Session, said: &str) -> Result<bool, ClientError> {
    let query = SearchQuery {
        session: Some(session.clone()),
        query: "Where is the stethoscope?".into(),
        limit: Some(Integer(100)),
        ..SearchQuery::default()
    };
    Ok(client.search(&query).await?.iter().any(|hit| hit.episode.content == said))
}

/// The rows that cannot be read, kind by kind, a line for each.
fn lost<Row>(rows: &[DamagedRow<Row>], episode: impl Fn(&Row) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    for rows in rows.chunk_by(|one, next| one.kind() == next.kind()) {
        lines.push(format!("{} {} cannot be read:", rows.len(), rows[0].kind()));
        lines.extend(rows.iter().take(LISTED).map(|row| match row {
            DamagedRow::Episode(row) => episode(row),
            DamagedRow::Fact(id) => format!("row {id}"),
            DamagedRow::Key(id) => format!("row {id}"),
        }));
    }
    lines
}
