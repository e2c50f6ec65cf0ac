//! Opening an instance from the command line: its progress on the terminal, its errors with hints.

use memcloud_domain::with_causes;
use memcloud_instance::{Config, Error, Instance, MissingModel, Progress, copy, embedder};
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::hint::hint;
use crate::output::{Output, Progress as Bar, Unit};
use crate::settings::ListenAddress;

const UNREAD_HINT: &str =
    "restore a backup, or go on with the copy, which is kept; 'memcloud doctor' lists what is damaged";
const WITHOUT_MODEL: &str = "search uses words only and finds less";
const MODEL_HINT: &str =
    "connect to the internet and start again, or name a folder that holds the model with --model-dir";

/// Opens an instance, and shows a download of its model.
pub(crate) async fn open(
    config: &Config,
    listener: TcpListener,
    address: &ListenAddress,
    output: Output,
) -> Result<Instance, Failure> {
    let mut bar = FetchBar { output, bar: None };
    let opened = Instance::open(config, listener, &mut |progress| bar.show(progress)).await;
    opened.map_err(|error| match error {
        Error::Exposed(_) | Error::ShortKey(_) => {
            let failure = Failure::from(error);
            Failure {
                message: format!("{}; {} says where to listen", failure.message, address.origin()),
                ..failure
            }
        }
        error => error.into(),
    })
}

/// Fetches the embedding model into the data directory.
pub(crate) async fn fetch(
    model: &memcloud_instance::LocalModel,
    output: Output,
) -> Result<std::path::PathBuf, Failure> {
    let mut bar = FetchBar { output, bar: None };
    Ok(model.fetch(&mut |progress| bar.show(progress)).await?)
}

/// The folder of the embedding model, which is fetched into the data directory if it is nowhere. `None` when there is none.
pub(crate) async fn model_folder(
    model: &memcloud_instance::LocalModel,
    output: Output,
) -> Result<Option<std::path::PathBuf>, Failure> {
    let mut bar = FetchBar { output, bar: None };
    Ok(model.folder(&mut |progress| bar.show(progress)).await?)
}

/// Shows how the local model is found.
struct FetchBar {
    output: Output,
    bar: Option<Bar>,
}

impl FetchBar {
    fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::FetchAgain(error) => {
                self.output.say(format!("fetching it again: {}", with_causes(error)));
            }
            Progress::FetchBegins => {
                self.output.say("fetching the embedding model, once");
                self.bar = Some(self.output.progress("fetching", Unit::Bytes));
            }
            Progress::Fetching(at) => {
                if let Some(bar) = &mut self.bar {
                    bar.rename(&format!("fetching from the {}", at.source));
                    bar.set(at.done, at.total);
                }
            }
            Progress::FetchEnds => {
                if let Some(bar) = self.bar.take() {
                    bar.finish();
                }
            }
            Progress::WithoutModel(MissingModel::Offline) => self.output.warn(
                &format!("there is no embedding model, and fetching is forbidden: {WITHOUT_MODEL}"),
                MODEL_HINT,
            ),
            Progress::WithoutModel(MissingModel::NotFetched(error)) => {
                self.output.warn(&format!("{}; {WITHOUT_MODEL}", with_causes(error)), MODEL_HINT);
            }
        }
    }
}

/// What the check of the local model found, in one line.
pub(crate) fn examined(found: &embedder::Examined) -> String {
    let millis = found.latency.as_secs_f64() * 1e3;
    let (dir, kernel, threads) = (found.dir.display(), &found.kernel, found.threads);
    format!("{dir}; the files are intact, {kernel} on {threads} threads, a text in {millis:.1} ms")
}

/// Copies a memory and prints what was copied.
pub(crate) async fn copy_memory(
    source: &memcloud_ports::Engine,
    target: &memcloud_ports::Engine,
    doing: &str,
    output: Output,
) -> Result<(), Failure> {
    let began = std::time::Instant::now();
    let mut bar = output.progress(doing, Unit::Messages);
    let mut show = |progress| match progress {
        copy::Progress::Copied { done, total } => bar.set(done, total),
        copy::Progress::Checking => bar.rename("checking"),
    };
    let copied = copy::copy(source, target, &mut show).await.map_err(|error| match error {
        Error::Memory(damaged @ memcloud_domain::Error::StorageDamaged { .. }) => {
            let what =
                format!("the copy ended before all that can be read was copied: {}", with_causes(&damaged));
            Failure::new(
                what,
                "restore a backup of the damaged side; 'memcloud doctor' lists what is damaged",
            )
        }
        error => error.into(),
    })?;
    bar.finish();
    summary(&copied, began.elapsed().as_secs_f64(), output);
    copied.unread.map_or(Ok(()), |unread| Err(Error::Unread(unread).into()))
}

fn summary(copied: &copy::Copied, seconds: f64, output: Output) {
    let copy::Copied { episodes, vectors, facts, queued, spaces, keys, written, checksum, unread } = copied;
    let compared = if unread.is_none() { "" } else { " of what could be read" };
    let values = serde_json::json!({
        "memories": episodes, "vectors": vectors, "facts": facts, "queued": queued, "groups": spaces,
        "keys": keys, "written": written, "checksum": checksum, "unread": unread, "seconds": seconds,
    });
    output.answer(&values, |output| output.data(format!(
        "{episodes} memories in {spaces} groups, {vectors} with a vector; {facts} facts, {queued} messages to learn from; \
         {keys} API keys; {written} written now, {seconds:.1} s; count and checksum {checksum}{compared} agree on \
         both sides"
    )));
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = with_causes(&error);
        let next = match &error {
            Error::Data(memcloud_domain::Error::Storage { .. }) => {
                "check the data directory; nothing in it was changed"
            }
            Error::Data(memcloud_domain::Error::StorageDamaged { .. }) => {
                "restore a backup into an empty data directory; the guide to backups says how"
            }
            Error::Data(error) | Error::Memory(error) => hint(error),
            Error::Exposed(_) => {
                let next = "set MEMCLOUD_API_KEYS (or MEMCLOUD_API_KEYS_FILE), make an admin key first with 'memcloud keys create', or listen on 127.0.0.1";
                return Self::usage(message, next);
            }
            Error::ShortKey(_) => {
                let next = "make longer keys, such as with 'openssl rand -hex 24', or listen on 127.0.0.1";
                return Self::usage(message, next);
            }
            Error::Socket(_) | Error::Served(_) => "start it again",
            Error::Model(error) => model_hint(error),
            Error::Fetch(_) => MODEL_HINT,
            Error::Remove { .. } => "check the owner and the permissions of the path",
            Error::Thread(_) => "raise the limit of processes for this user",
            Error::Panicked(_) => "run 'memcloud doctor'",
            Error::WrongVector { .. } => "choose another with MEMCLOUD_KERNEL, and report this",
            Error::Endpoint { .. } => {
                "check MEMCLOUD_EMBEDDING_MODEL, MEMCLOUD_EMBEDDING_URL and MEMCLOUD_EMBEDDING_KEY"
            }
            Error::Unread(_) => UNREAD_HINT,
            Error::SpacesDiffer { .. }
            | Error::CategoriesDiffer { .. }
            | Error::FactsDiffer { .. }
            | Error::KeyDiffers { .. } => {
                "make sure that no server writes to either side or learns, and run the same command again: it continues \
                 where it stopped"
            }
        };
        Self::new(message, next)
    }
}

fn model_hint(error: &memcloud_embed::Error) -> &'static str {
    match error {
        memcloud_embed::Error::Isa(_) => "choose another with MEMCLOUD_KERNEL, or leave it out",
        memcloud_embed::Error::Threads(_) => {
            "lower MEMCLOUD_THREADS, or raise the limit of processes for this user"
        }
        memcloud_embed::Error::Damaged { .. } => {
            "delete that file and start again to fetch it, or copy an intact one there"
        }
        _ => "name a folder that holds the model with --model-dir; 'memcloud doctor' checks it",
    }
}
