mod jsonl;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use memcloud_api::memmachine_v1::{Batch, NewEpisode, Session};
use memcloud_client::Client;
use serde_json::json;
use sha2::{Digest, Sha256};

use memcloud_instance::engines::{holds_memory, open_directory};

use crate::client::connect;
use crate::commands::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::opening;
use crate::output::Unit;
use crate::settings::{ClientFlags, DataFlags, engines};

/// The most attempts to send a batch to a server that cannot be reached.
const ATTEMPTS: usize = 4;

/// Store the messages of a file, or copy a whole memory; run again, it stores nothing twice
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The file
    #[arg(required_unless_present = "from")]
    file: Option<PathBuf>,
    /// Copy the memory in this data directory, with its vectors, into the databases that the settings name; checked by
    /// count and checksum. No server may run on the directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "format", "group", "session", "skip_bad", "url", "key"])]
    from: Option<PathBuf>,
    /// The format of the file
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    #[command(flatten)]
    place: Place,
    /// Messages in one request
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    batch: u32,
    /// Skip lines that cannot be read instead of refusing the file
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// One message per line, a JSON object
    Jsonl,
}

/// The messages of one session, as they are sent.
struct SessionMessages {
    /// The `session` of the requests.
    session: Session,
    /// The messages, in order.
    episodes: Vec<NewEpisode>,
}

/// What a file holds.
struct Content {
    conversations: Vec<SessionMessages>,
    /// The lines that cannot be read, each with its number and the reason.
    bad: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let Some(path) = &args.file else { return copy(&args.from.unwrap_or_default(), context).await };
    let file =
        std::fs::read(path).map_err(|error| Failure::file("read", path, &error).ending(Exit::Usage))?;
    let content = parse(&args, path, &file)?;
    check(&content, path, &args, context)?;
    let client = connect(&context.sources, &args.client).await?.retrying(ATTEMPTS);
    let began = Instant::now();
    let key = key(&file, &args.place);
    let stored = send(&client, &content.conversations, args.batch as usize, &key, context).await?;
    summary(stored, &content, began.elapsed(), context);
    Ok(Exit::Ok)
}

/// Copies a whole memory from a data directory.
async fn copy(from: &Path, context: &Context) -> Result<Exit, Failure> {
    let from = context.sources.expanded("--from", from)?;
    if !holds_memory(&from) {
        let what = format!("there is no memory in {}", from.display());
        return Err(Failure::usage(what, "name the data directory of an instance"));
    }
    let engines = engines(&context.sources)?;
    let source = open_directory(&from).await?;
    let target = engines.open(&DataFlags::default().data_dir(&context.sources)?).await?;
    opening::copy_memory(&source, &target, "importing", context.output).await?;
    Ok(Exit::Ok)
}

fn parse(args: &Args, path: &Path, file: &[u8]) -> Result<Content, Failure> {
    let text = std::str::from_utf8(file).map_err(|error| {
        let line = file[..error.valid_up_to()].split(|&byte| byte == b'\n').count();
        unusable(path, &format!("line {line} is not UTF-8"))
    })?;
    match args.format {
        Format::Jsonl => Ok(jsonl::read(text, &args.place)),
    }
}

fn unusable(file: &Path, why: &str) -> Failure {
    Failure::new(format!("{}: {why}; nothing was imported", file.display()), "correct the file")
}

/// Refuses a file with bad lines before anything is stored, unless they are to be skipped.
fn check(content: &Content, path: &Path, args: &Args, context: &Context) -> Result<(), Failure> {
    if content.bad.is_empty() {
        return Ok(());
    }
    for line in content.bad.iter().take(20) {
        context.output.say(line);
    }
    if args.skip_bad {
        return Ok(());
    }
    let bad = content.bad.len();
    let what = format!(
        "{}: {bad} lines cannot be read, the first is {}; nothing was imported",
        path.display(),
        content.bad[0]
    );
    Err(Failure::new(what, "correct these lines, or skip them with --skip-bad"))
}

/// The name of this import: the same file in the same place has the same name.
fn key(file: &[u8], place: &Place) -> String {
    let hash = Sha256::new().chain_update(place.session()).chain_update([0]).chain_update(file).finalize();
    HEXLOWER.encode(&hash[..16])
}

async fn send(
    client: &Client,
    conversations: &[SessionMessages],
    batch: usize,
    key: &str,
    context: &Context,
) -> Result<u64, Failure> {
    let total = conversations.iter().map(|c| c.episodes.len()).sum::<usize>() as u64;
    let mut progress = context.output.progress("importing", Unit::Messages);
    progress.set(0, total);
    let mut stored = 0;
    for conversation in conversations {
        for episodes in conversation.episodes.chunks(batch) {
            let batch = Batch { session: Some(conversation.session.clone()), episodes: episodes.to_vec() };
            client
                .store_batch(&format!("import-{key}-{stored}"), &batch)
                .await
                .map_err(|error| stopped(&error.into(), stored, total))?;
            stored += episodes.len() as u64;
            progress.set(stored, total);
        }
    }
    progress.finish();
    Ok(stored)
}

fn stopped(failure: &Failure, stored: u64, total: u64) -> Failure {
    let message = format!("stopped after {stored} of {total} messages: {}", failure.message);
    let hint = format!("{}; then import the same file again: nothing is stored twice", failure.hint);
    Failure { message, hint, exit: failure.exit }
}

fn summary(stored: u64, content: &Content, took: Duration, context: &Context) {
    let (sessions, seconds) = (content.conversations.len(), took.as_secs_f64());
    let rate = stored as f64 / seconds.max(1e-3);
    let skipped = content.bad.len();
    let facts = json!({"messages": stored, "sessions": sessions, "skipped": skipped, "seconds": seconds});
    context.output.answer(&facts, |output| {
        let skipped = if skipped > 0 { format!(", {skipped} bad lines skipped") } else { String::new() };
        output.data(format!(
            "{stored} messages in {sessions} sessions{skipped}; {seconds:.1} s, {rate:.0} messages/s"
        ));
    });
}
