//! One running memory instance: what `up` and `serve` have in common.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_domain::{Fault, SystemClock, with_causes};
use memcloud_memory::{Chat, Learner, Limits, Memory, ModelGateway, RankingWeights};
use memcloud_ports::{Counts, Embedder, Engine};
use memcloud_server::{ApiKeys, App, Exposed, ServeOptions, Settings, require_key_beyond_loopback};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::llm::Llm;
use crate::local_model::{self, LocalModel};
use crate::output::Output;
use crate::settings::{InstanceSettings, addresses};

/// How long begun requests may still take after a signal. With all else the process is gone within five seconds.
const DRAIN: Duration = Duration::from_secs(4);
/// How long chats may still take after a signal: then what they have answered up to now is stored.
const CHAT_DRAIN: Duration = Duration::from_millis(2_500);
/// How many messages without a vector are embedded at once.
const BACKLOG_BATCH: usize = 64;
/// How long the backlog rests after a failure.
const BACKLOG_REST: Duration = Duration::from_secs(30);
/// How often the log tells how far the backlog is.
const BACKLOG_TELL: Duration = Duration::from_secs(10);

/// An instance that is open and about to serve.
pub(crate) struct Instance {
    /// The address it listens on.
    pub(crate) address: SocketAddr,
    /// Where its data is.
    pub(crate) data_dir: PathBuf,
    /// Where the memories are, in words.
    pub(crate) kept_in: String,
    /// How much is stored, if that is known yet.
    pub(crate) counts: Option<Counts>,
    /// The model it embeds with.
    pub(crate) model: Option<RunningModel>,
    /// The language model, in words.
    pub(crate) language: Option<String>,
    listener: TcpListener,
    memory: Arc<Memory>,
    chat: Option<Arc<Chat>>,
    learner: Option<Arc<Learner>>,
    app: App,
}

/// What people want to know of a running model.
#[derive(Clone, Debug)]
pub(crate) struct RunningModel {
    /// The vector space.
    pub(crate) space: String,
    /// Where it is: a folder, or the address of an endpoint.
    pub(crate) place: String,
    /// The instructions it computes with, if it computes here.
    pub(crate) kernel: Option<String>,
}

/// Takes the address. Done before anything else, so that a taken port touches no data.
pub(crate) async fn listen(settings: &InstanceSettings, flag: &str) -> Result<TcpListener, Failure> {
    let addresses = addresses(&settings.listen)?;
    TcpListener::bind(&addresses[..]).await.map_err(|error| {
        let listen = &settings.listen;
        match error.kind() {
            ErrorKind::AddrInUse => Failure::new(
                format!("the address {listen} is taken: another program listens there"),
                format!(
                    "stop that program, or choose another address with {flag}, such as {}",
                    next_to(addresses[0])
                ),
            ),
            ErrorKind::PermissionDenied => Failure::new(
                format!("this user may not listen on {listen}"),
                format!("choose a port from 1024 up with {flag}"),
            ),
            _ => Failure::new(
                format!("cannot listen on {listen}: {error}"),
                format!("choose an address of this machine with {flag}"),
            ),
        }
    })
}

fn next_to(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8081))
}

impl Instance {
    /// Opens the data and starts the model. Changes nothing that is stored.
    pub(crate) async fn open(
        settings: &InstanceSettings,
        keys: ApiKeys,
        listener: TcpListener,
        output: Output,
    ) -> Result<Self, Failure> {
        let address = listener
            .local_addr()
            .map_err(|error| Failure::new(format!("the listening socket failed: {error}"), "start again"))?;
        // The address itself, since its name may have led elsewhere when it was looked at before.
        require_key_beyond_loopback(address.ip(), &keys).map_err(exposed)?;
        // Data that cannot be used is told before a model is fetched, which goes into the same directory.
        let engine = settings.engines.open(&settings.data_dir).await?;
        let (embedder, model) = embedding(settings, output).await?;
        let clock = Arc::new(SystemClock);
        let opening =
            Memory::open(engine.clone(), embedder, clock, limits(settings), RankingWeights::default());
        let mut memory = opening.await?;
        let language = settings.llm.as_ref();
        if language.is_some_and(|language| language.profile.is_some()) {
            memory = memory.learning();
        }
        let memory = Arc::new(memory);
        let counts = counts(&memory).await?;
        let mut app = App::new(Arc::clone(&memory), keys, server_settings(settings));
        let (mut chat, mut learner) = (None, None);
        if let Some(language) = language {
            let conversing = Conversing::over(&memory, engine, language);
            app = app.chatting(Arc::clone(&conversing.chat), conversing.learner.is_some());
            (chat, learner) = (Some(conversing.chat), conversing.learner);
        }
        let language = language.map(Llm::summary);
        let kept_in = settings.engines.told(&settings.data_dir);
        Ok(Self {
            address,
            data_dir: settings.data_dir.clone(),
            kept_in,
            counts,
            model,
            language,
            listener,
            memory,
            chat,
            learner,
            app,
        })
    }

    /// The address for programs on this machine.
    pub(crate) fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Serves until it is told to stop by Ctrl-C or SIGTERM, then answers what has begun.
    pub(crate) async fn serve(self) -> Result<(), Failure> {
        let stopping = CancellationToken::new();
        let (signal, told) = (stop_signal()?, stopping.clone());
        let stop = async move {
            let name = signal.await;
            tracing::info!("{name}: answering what has begun, then leaving");
            told.cancel();
        };
        tracing::info!(data_dir = %self.data_dir.display(), kept_in = self.kept_in, "listening on {}", self.url());
        if let Some(language) = &self.language {
            tracing::info!("chats with {language}");
        }
        let backlog = tokio::spawn(embed_backlog(self.memory));
        let learning = self.learner.map(|learner| tokio::spawn(learner.run(stopping.clone())));
        let chats = self.chat.map(|chat| tokio::spawn(close_chats(chat, stopping)));
        let options = ServeOptions { drain: DRAIN, ..ServeOptions::default() };
        let served =
            memcloud_server::serve(self.listener, memcloud_server::router(self.app), options, stop).await;
        backlog.abort();
        // Ended by the same signal; what fails in a task has been logged there.
        if let Some(chats) = chats {
            drop(tokio::time::timeout(DRAIN, chats).await);
        }
        if let Some(learning) = learning {
            drop(tokio::time::timeout(DRAIN, learning).await);
        }
        served.map_err(|error| Failure::new(format!("the server stopped: {error}"), "start it again"))?;
        tracing::info!("stopped");
        Ok(())
    }
}

impl RunningModel {
    fn of(model: &LocalModel) -> Self {
        Self {
            space: model.embedder.space().to_owned(),
            place: model.dir.display().to_string(),
            kernel: Some(model.kernel.clone()),
        }
    }
}

/// The model that embeds: at an endpoint where the settings name one, else the local one.
async fn embedding(
    settings: &InstanceSettings,
    output: Output,
) -> Result<(Option<Arc<dyn Embedder>>, Option<RunningModel>), Failure> {
    if let Some(remote) = &settings.embedding {
        let embedder = remote.open().await?;
        let running = RunningModel {
            space: embedder.space().to_owned(),
            place: remote.endpoint.address(),
            kernel: None,
        };
        return Ok((Some(embedder), Some(running)));
    }
    let model = local_model::start(&settings.model, output).await?;
    let running = model.as_ref().map(RunningModel::of);
    Ok((model.map(|model| model.embedder), running))
}

/// What an instance with a language model has beside its memory.
struct Conversing {
    chat: Arc<Chat>,
    learner: Option<Arc<Learner>>,
}

impl Conversing {
    fn over(memory: &Memory, engine: Engine, language: &Llm) -> Self {
        let gate = Arc::new(ModelGateway::new(
            language.open(),
            engine.usage,
            Arc::new(SystemClock),
            language.budget,
        ));
        let chat = Arc::new(Chat::new(memory, Arc::clone(&gate), language.chat));
        let learner = language
            .profile
            .clone()
            .map(|profile| Arc::new(Learner::new(memory, gate, profile.model, profile.learner)));
        Self { chat, learner }
    }
}

/// Ends the chats that are still under way a while after the signal, so that what they have answered is stored before the
/// process is gone.
async fn close_chats(chat: Arc<Chat>, stopping: CancellationToken) {
    stopping.cancelled().await;
    if tokio::time::timeout(CHAT_DRAIN, chat.finished()).await.is_err() {
        tracing::warn!("chats were cut off at shutdown; what they had answered is stored");
    }
    chat.close().await;
}

/// How much is stored; unknown while a database cannot be reached, which the instance says itself when it is asked.
async fn counts(memory: &Memory) -> Result<Option<Counts>, Failure> {
    match memory.counts().await {
        Ok(counts) => Ok(Some(counts)),
        Err(error) if error.fault() == Fault::Unavailable => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn limits(settings: &InstanceSettings) -> Limits {
    let usual = Limits::default();
    Limits {
        content_bytes: settings.content_bytes.unwrap_or(usual.content_bytes),
        index_bytes: settings.index_bytes.unwrap_or(usual.index_bytes),
        ..usual
    }
}

fn server_settings(settings: &InstanceSettings) -> Settings {
    let usual = Settings::default();
    Settings {
        body_bytes: settings.body_bytes.unwrap_or(usual.body_bytes),
        body_timeout: settings.body_timeout.unwrap_or(usual.body_timeout),
        ..usual
    }
}

/// Why an instance without keys does not listen there.
pub(crate) fn exposed(exposed: Exposed) -> Failure {
    let address = exposed.address;
    Failure::usage(
        format!(
            "anyone on the network could use this memory: {address} is not this machine's own and there is no key"
        ),
        "set MEMCLOUD_API_KEYS (or MEMCLOUD_API_KEYS_FILE), or listen on 127.0.0.1",
    )
}

/// Ready when the process is told to stop, with the name of the signal.
pub(crate) fn stop_signal() -> Result<impl Future<Output = &'static str> + Send, Failure> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| Failure::new(format!("cannot listen for signals: {error}"), "start it again"))
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}

/// Gives vectors to what was stored while no model ran.
async fn embed_backlog(memory: Arc<Memory>) {
    let (mut done, mut told) = (0, Instant::now());
    loop {
        match memory.embed_backlog(BACKLOG_BATCH).await {
            Ok(0) => break,
            Ok(more) => done += more,
            // The engine tells its troubles itself.
            Err(error) if error.fault() == Fault::Unavailable => tokio::time::sleep(BACKLOG_REST).await,
            Err(error) => {
                tracing::error!(error = %with_causes(&error), "messages stored without a model could not be embedded");
                tokio::time::sleep(BACKLOG_REST).await;
            }
        }
        if told.elapsed() >= BACKLOG_TELL {
            told = Instant::now();
            tracing::info!("embedded {done} messages that were stored without a model, and going on");
        }
    }
    if done > 0 {
        tracing::info!("embedded all {done} messages that were stored without a model");
    }
}
