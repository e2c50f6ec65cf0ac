//! An instance: opened, then served until it is asked to stop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Clock, Error as DomainError, Fault, SystemClock};
use memcloud_http::{ServeOptions, raise_descriptor_limit, serve};
use memcloud_memory::{Chat, Learner, Memory, ModelGateway, RankingWeights};
use memcloud_ports::{Counts, Embedder, Engine, LanguageModel};
use memcloud_server::{App, may_have_admin_key, require_key_beyond_loopback};
use memcloud_tasks::Tasks;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::backlog;
use crate::config::{Config, LlmOptions};
use crate::embedder::{EmbedderInfo, Report};
use crate::error::Error;

/// How long requests in progress may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(4);
/// How often what repeats is logged.
const LOG_REPEATS_EVERY: Duration = Duration::from_secs(10);
/// How long chats may take after the signal. Then they store what was answered so far.
const CHAT_DRAIN: Duration = Duration::from_millis(2_500);
/// How long everything may take after the signal: the process ends within five seconds.
const STOP_WITHIN: Duration = Duration::from_millis(4_500);

/// The parts of an instance, opened.
pub struct Parts {
    /// Keeps the memory.
    pub engine: Engine,
    /// Embeds, if there is a model.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Chats and learns, if there is a language model.
    pub llm: Option<(Arc<dyn LanguageModel>, LlmOptions)>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Parts {
    /// Parts of this engine alone: no models, and the system's clock.
    pub fn of(engine: Engine) -> Self {
        Self { engine, embedder: None, llm: None, clock: Arc::new(SystemClock) }
    }
}

/// What an instance is made of, wired together: the only wiring, for commands and tests alike.
pub struct Assembly {
    /// What its routes answer from.
    pub app: App,
    /// The memory.
    pub memory: Arc<Memory>,
    /// The chats, if there is a language model.
    pub chat: Option<Arc<Chat>>,
    /// The learner, if facts are learned. It runs as a task of its own.
    pub learner: Option<Arc<Learner>>,
    gateway: Option<Arc<ModelGateway>>,
}

impl Assembly {
    /// Wires parts that are open. Of the configuration, only keys, limits and what the server accepts are used.
    pub async fn of(parts: Parts, config: &Config) -> Result<Self, Error> {
        let Parts { engine, embedder, llm, clock } = parts;
        let usage = Arc::clone(&engine.usage);
        let weights = RankingWeights::default();
        let mut memory = Memory::open(engine, embedder, Arc::clone(&clock), config.limits, weights).await?;
        if llm.as_ref().is_some_and(|(_, options)| options.profile.is_some()) {
            memory = memory.learning();
        }
        let memory = Arc::new(memory);
        let app = App::new(Arc::clone(&memory), config.keys.clone(), config.server);
        let Some((model, options)) = llm else {
            return Ok(Self { app, memory, chat: None, learner: None, gateway: None });
        };
        let gateway = Arc::new(ModelGateway::new(model, usage, clock, options.budget));
        let learner = options.profile.map(|profile| {
            Arc::new(Learner::new(&memory, Arc::clone(&gateway), profile.model, profile.learner))
        });
        let chat = Arc::new(Chat::new(&memory, Arc::clone(&gateway), options.chat));
        let app = app.chatting(Arc::clone(&chat));
        Ok(Self { app, memory, chat: Some(chat), learner, gateway: Some(gateway) })
    }
}

/// An instance that is open and about to serve.
pub struct Instance {
    /// The address it listens on.
    pub address: SocketAddr,
    /// Where its data directory is and where the memory is kept, in one line.
    pub kept_in: String,
    /// How much is stored; `None` while a database is down or damaged.
    pub counts: Option<Counts>,
    /// The model it embeds with.
    pub embedder: Option<EmbedderInfo>,
    /// The language model, in one line.
    pub llm: Option<String>,
    data_dir: String,
    listener: TcpListener,
    assembly: Assembly,
    serving: ServeOptions,
}

impl Instance {
    /// Opens the data and the models. Changes nothing that is stored.
    pub async fn open(config: &Config, listener: TcpListener, report: Report<'_>) -> Result<Self, Error> {
        let address = listener.local_addr().map_err(Error::Socket)?;
        // Keys that the instance made are in its engine. Before there is one, there are none.
        if is_keyless(config, address) && !config.engines.may_hold_keys(&config.data_dir) {
            return Err(Error::Exposed(address));
        }
        if config.keys.has_short() && !address.ip().to_canonical().is_loopback() {
            return Err(Error::ShortKey(address));
        }
        // The data comes first: if it cannot be used, no model is fetched into its directory.
        let engine = config.engines.open(&config.data_dir).await?;
        let (embedder, info) = config.embedding.open(report).await?.unzip();
        let llm = config.llm.as_ref().map(|llm| (llm.open(), llm.options.clone()));
        let parts = Parts { embedder, llm, ..Parts::of(engine) };
        let instance = Self::assemble(parts, config, listener).await?;
        Ok(Self { embedder: info, llm: config.llm.as_ref().map(crate::Llm::summary), ..instance })
    }

    /// Assembles an instance from parts that are open. Of the configuration, engines and models are not used.
    pub async fn assemble(parts: Parts, config: &Config, listener: TcpListener) -> Result<Self, Error> {
        let address = listener.local_addr().map_err(Error::Socket)?;
        if is_keyless(config, address) && !may_have_admin_key(&*parts.engine.keys, parts.clock.now()).await {
            return Err(Error::Exposed(address));
        }
        let embedder = parts.embedder.as_ref().map(|embedder| EmbedderInfo {
            space: embedder.space().to_owned(),
            place: "this process".into(),
            kernel: None,
        });
        let llm = parts.llm.as_ref().map(|(model, _)| model.name().to_owned());
        let assembly = Assembly::of(parts, config).await?;
        Ok(Self {
            address,
            kept_in: config.engines.summary(&config.data_dir),
            counts: counts(&assembly.memory).await?,
            embedder,
            llm,
            data_dir: config.data_dir.display().to_string(),
            listener,
            assembly,
            serving: config.serving,
        })
    }

    /// The address for programs on this machine.
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Serves until `stop` completes. Then requests and chats in progress end, and the engine is closed.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let url = self.url();
        tracing::info!(data_dir = self.data_dir, kept_in = self.kept_in, "listening on {url}");
        if let Some(llm) = &self.llm {
            tracing::info!("chats with {llm}");
        }
        let tasks = Tasks::new();
        let Assembly { app, memory, chat, learner, gateway } = self.assembly;
        let deleter = Arc::clone(&memory);
        tasks.spawn("deleter of spaces", |stop| deleter.delete_spaces(stop));
        tasks.spawn("embedding backlog", |stop| async move {
            stop.run_until_cancelled(backlog::embed(memory)).await;
        });
        if let Some(learner) = learner {
            tasks.spawn("learner", |stop| learner.run(stop));
        }
        if let Some(chat) = chat {
            tasks.spawn("chats", |stop| close_chats(chat, stop));
        }
        let repeats = app.clone();
        tasks.spawn("repeated log lines", |stop| async move {
            while stop.run_until_cancelled(tokio::time::sleep(LOG_REPEATS_EVERY)).await.is_some() {
                repeats.log_repeats();
            }
        });
        let (listener, router) = (self.listener, memcloud_server::router(app.clone()));
        let options = ServeOptions { drain: DRAIN, ..self.serving }.within(raise_descriptor_limit());
        let mut serving = std::pin::pin!(
            tasks.run("server", |stop| { serve(listener, router, options, stop.cancelled_owned()) })
        );
        let ended = tokio::select! {
            ended = &mut serving => Some(ended),
            () = stop => None,
        };
        tasks.drain(STOP_WITHIN).await;
        if let Some(gateway) = gateway {
            gateway.close().await;
        }
        let ended = match ended {
            Some(ended) => ended,
            None => serving.await,
        };
        ended.map_err(|error| Error::Served(error.into()))?.map_err(|error| Error::Served(error.into()))?;
        app.log_repeats();
        tracing::info!("stopped");
        Ok(())
    }
}

/// Whether other machines reach this address and the configuration has no key.
fn is_keyless(config: &Config, address: SocketAddr) -> bool {
    require_key_beyond_loopback(address.ip(), &config.keys).is_err()
}

/// Ends chats a while after the signal, so that what they answered is stored before the process ends.
async fn close_chats(chat: Arc<Chat>, stop: CancellationToken) {
    stop.cancelled().await;
    if tokio::time::timeout(CHAT_DRAIN, chat.finished()).await.is_err() {
        tracing::warn!("chats were cut off at shutdown; what they had answered is stored");
    }
    chat.close().await;
}

/// How much is stored; `None` while a database is down or damaged, which readiness reports.
async fn counts(memory: &Memory) -> Result<Option<Counts>, Error> {
    match memory.engine().episodes.counts().await {
        Ok(counts) => Ok(Some(counts)),
        Err(DomainError::StorageDamaged { .. }) => Ok(None),
        Err(error) if error.fault() == Fault::Unavailable => Ok(None),
        Err(error) => Err(error.into()),
    }
}
