//! A real instance in this process, which can be restarted.

use std::time::Duration;

use async_trait::async_trait;
use memcloud_client::Client;
use memcloud_control::Reason;
use memcloud_control::verify::Restart;
use memcloud_fake_llm::FakeLlm;
use memcloud_instance::{Config, Instance, Llm, LlmOptions, Profile};
use memcloud_llm::{Endpoint, Timeouts};
use memcloud_memory::LearnerOptions;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

/// The signal to stop a served instance, and its end.
type Served = (oneshot::Sender<()>, JoinHandle<()>);

/// A served instance.
pub(crate) struct Running {
    pub(crate) client: Client,
    config: Config,
    served: Mutex<Option<Served>>,
    _dir: TempDir,
}

impl Running {
    /// An instance without models.
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        Self::with(Config::in_directory(dir.path()), dir).await
    }

    /// An instance that chats and learns with this model.
    pub(crate) async fn with_llm(model: &FakeLlm) -> Self {
        let dir = TempDir::new().unwrap();
        let endpoint = Endpoint::new(&model.url(), None, Timeouts::default()).unwrap();
        let learner = LearnerOptions { every: Duration::from_millis(20), ..LearnerOptions::default() };
        let profile = Some(Profile { model: None, learner });
        let options = LlmOptions { profile, ..LlmOptions::default() };
        let llm = Some(Llm { endpoint, model: "fake-llm".into(), options });
        Self::with(Config { llm, ..Config::in_directory(dir.path()) }, dir).await
    }

    async fn with(config: Config, dir: TempDir) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (client, served) = serve(&config).await;
        Self { client, config, served: Mutex::new(Some(served)), _dir: dir }
    }

    /// Stops it for good.
    pub(crate) async fn stop(&self) {
        if let Some((stop, ended)) = self.served.lock().await.take() {
            drop(stop);
            ended.await.unwrap();
        }
    }
}

#[async_trait]
impl Restart for Running {
    async fn restart(&self) -> Result<Client, Reason> {
        self.stop().await;
        let (client, served) = serve(&self.config).await;
        *self.served.lock().await = Some(served);
        Ok(client)
    }
}

async fn serve(config: &Config) -> (Client, Served) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config.clone();
    // Opening an instance is not `Send`: it stays on one thread.
    let open = move || Handle::current().block_on(Instance::open(&config, listener, &mut |_| {}));
    let instance = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
    let client = Client::new(&instance.url(), None).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(async move { instance.serve(async { drop(stopped.await) }).await.unwrap() });
    (client, (stop, ended))
}

/// A restart that does something else.
pub(crate) struct RestartBy<F>(pub(crate) F);

#[async_trait]
impl<F: Fn() -> Result<Client, Reason> + Send + Sync> Restart for RestartBy<F> {
    async fn restart(&self) -> Result<Client, Reason> {
        (self.0)()
    }
}
