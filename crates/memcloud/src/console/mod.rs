//! The console that `up` runs: the composition root of the control plane. It puts together the store, this machine as the
//! place of instances, the API and what watches the instances.
#![expect(clippy::disallowed_types, reason = "this is the composition root: it starts the clock")]

mod embedding_model;
mod first_instance;
mod folder;

use std::sync::Arc;
use std::time::Duration;

use memcloud_console::{App, Parts, Settings, router};
use memcloud_control::access::{Accounts, User};
use memcloud_control::instances::{TargetKind, Wanted};
use memcloud_control::reconcile::Reconciler;
use memcloud_control::targets::local::{LocalSetup, LocalTarget};
use memcloud_control::targets::{Observed, Target, Targets};
use memcloud_control::{
    Caller, Control, ControlStore, Error, Instance, InstanceId, OperationId, OperationKind, PageQuery,
    Reason, Secrets, State,
};
use memcloud_control_store::SqliteControlStore;
use memcloud_domain::{Clock, Rights, SystemClock, with_causes};
use memcloud_http::{ServeOptions, raise_descriptor_limit, serve};
use memcloud_tasks::Tasks;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::connections::Connections;
use crate::failure::Failure;
use crate::kept_access::KeptAccess;
use crate::settings::{Sources, instance_ports};

pub(crate) use embedding_model::embedding_model;
pub(crate) use first_instance::{Begun, FirstInstance, settings_of_first};
pub(crate) use folder::ConsoleFolder;

/// How long requests in progress may still take when the console stops, and how long it waits for its tasks.
const DRAIN: Duration = Duration::from_secs(2);
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How often what repeats is logged.
const LOG_REPEATS_EVERY: Duration = Duration::from_secs(10);

/// The control plane of a folder, open.
pub(crate) struct Console {
    store: Arc<dyn ControlStore>,
    secrets: Secrets,
    local: LocalTarget,
    targets: Targets,
    control: Arc<Control>,
    accounts: Accounts,
    clock: Arc<dyn Clock>,
    tasks: Arc<Tasks>,
    owner: User,
    url: String,
    /// Holds the folder.
    _folder: ConsoleFolder,
}

impl Console {
    /// Opens the control plane in this folder. `environment` is what every instance is started with.
    pub(crate) async fn open(
        folder: ConsoleFolder,
        sources: &Sources,
        environment: Vec<(String, String)>,
        url: String,
    ) -> Result<Self, Failure> {
        let (clock, tasks): (Arc<dyn Clock>, _) = (Arc::new(SystemClock), Arc::new(Tasks::new()));
        // The key comes first: a database without one is refused.
        let seal = folder.seal(sources)?;
        let store: Arc<dyn ControlStore> = Arc::new(SqliteControlStore::open(&folder.database())?);
        let secrets = Secrets::new(Arc::clone(&store), seal);
        let setup = LocalSetup {
            data_dir: folder.path().to_owned(),
            program: None,
            ports: instance_ports(sources)?,
            environment,
            settings: Arc::new(secrets.clone()),
            connections: Arc::new(Connections(Arc::clone(&clock))),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            tasks: Arc::clone(&tasks),
        };
        let local = LocalTarget::open(setup).await?;
        let targets = Targets::new(Arc::new(local.clone()));
        let control = Control::new(
            Arc::clone(&store),
            secrets.clone(),
            targets.clone(),
            Arc::clone(&clock),
            Arc::clone(&tasks),
        );
        let accounts = Accounts::new(Arc::clone(&store), Arc::clone(&clock));
        let owner = accounts.first_owner().await?;
        let control = Arc::new(control);
        Ok(Self {
            store,
            secrets,
            local,
            targets,
            control,
            accounts,
            clock,
            tasks,
            owner,
            url,
            _folder: folder,
        })
    }

    /// Goes on with what was interrupted, and starts again what was stopped with the console before.
    pub(crate) async fn resume(&self) -> Result<(), Failure> {
        self.control.resume().await?;
        self.start_instances().await?;
        if let Err(reason) = self.local.remove_unused_programs().await {
            tracing::warn!(reason = reason.message, "cannot remove the programs of earlier versions");
        }
        Ok(())
    }

    /// Watches the instances from now on.
    pub(crate) fn watch(&self) {
        let reconciler = Reconciler::new(
            Arc::clone(&self.store),
            self.targets.clone(),
            Arc::clone(&self.control) as Arc<dyn memcloud_control::reconcile::Operations>,
            Arc::clone(&self.clock),
        );
        let poke = self.control.poked();
        self.tasks.spawn("reconciler", |stop| reconciler.run(poke, stop));
    }

    /// Starts the instances that should run and whose processes were stopped with the console.
    async fn start_instances(&self) -> Result<(), Failure> {
        let all = PageQuery { limit: usize::MAX, cursor: None };
        for instance in self.store.instances(None, None, &all).await?.items {
            let is_local = instance.target == TargetKind::Local;
            let should_run =
                is_local && instance.wanted == Wanted::Running && instance.state != State::Failed;
            let is_first = instance.name.as_str() == first_instance::NAME;
            if should_run && !is_first && self.local.observe(&instance).await == Observed::Gone {
                let caller = Caller::system(instance.organization.clone());
                match self.control.begin(&caller, &instance.id, OperationKind::Start, &Value::Null).await {
                    // What is interrupted goes on by itself.
                    Ok(_) | Err(Error::Busy(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Serves the API from now on.
    pub(crate) fn serve(&self, listener: TcpListener) -> Result<(), Failure> {
        let address = listener.local_addr().map_err(|error| unusable(&self.url, &error.to_string()))?;
        let url = self.url.parse().map_err(|_| unusable(&self.url, "it is not an address"))?;
        let ending = CancellationToken::new();
        let app = App::new(Parts {
            control: Arc::clone(&self.control),
            accounts: self.accounts.clone(),
            clock: Arc::clone(&self.clock),
            url,
            is_local: address.ip().to_canonical().is_loopback(),
            stop: ending.clone(),
            settings: Settings::default(),
        });
        let repeats = app.clone();
        self.tasks.spawn("repeated log lines", |stop| async move {
            while stop.run_until_cancelled(tokio::time::sleep(LOG_REPEATS_EVERY)).await.is_some() {
                repeats.log_repeats();
            }
            repeats.log_repeats();
        });
        let options =
            ServeOptions { drain: DRAIN, ..ServeOptions::default() }.within(raise_descriptor_limit());
        self.tasks.spawn("server of the console", |stop| async move {
            let stopped = async {
                stop.cancelled().await;
                ending.cancel();
            };
            if let Err(error) = serve(listener, router(app), options, stopped).await {
                tracing::error!(error = with_causes(&error), "the console serves no more");
            }
        });
        Ok(())
    }

    /// A link that signs the owner in once.
    pub(crate) async fn sign_in_link(&self) -> Result<String, Failure> {
        let (secret, _) = self.accounts.create_link(&self.owner.id).await?;
        Ok(format!("{}/sign-in/{}", self.url, secret.expose_secret()))
    }

    /// How this user reaches the console. Its token is the one that is kept for it, or a new one where that is gone or opens
    /// nothing.
    pub(crate) async fn access(&self) -> Result<KeptAccess, Failure> {
        let mut access = KeptAccess::read().unwrap_or_default();
        if access.url != self.url {
            access.keys.clear();
        }
        let owner = self.owner.id.as_str();
        let kept = access.tokens.get(owner).unwrap_or(&access.token);
        let is_valid =
            matches!(self.accounts.identify(kept).await?, Ok(identity) if identity.rights == Rights::ALL);
        access.token =
            if is_valid { kept.clone() } else { self.make_token().await?.expose_secret().to_owned() };
        access.tokens.insert(owner.to_owned(), access.token.clone());
        access.url.clone_from(&self.url);
        Ok(access)
    }

    async fn make_token(&self) -> Result<SecretString, Failure> {
        let (name, caller) = ("the user who runs 'memcloud up'", self.caller());
        Ok(self.accounts.create_token(&caller, &self.owner.id, name, Rights::ALL, None).await?.0)
    }

    fn caller(&self) -> Caller {
        Caller::system(self.owner.organization.clone())
    }

    /// Waits for the end of an operation.
    pub(crate) async fn ended(&self, id: &OperationId) -> Result<(), Failure> {
        let mut after = 0;
        while let Some(events) = self.control.next_events(id, after).await? {
            after = events.last().map_or(after, |last| last.number);
        }
        Ok(())
    }

    /// An instance as it is now; `None` when it was removed.
    pub(crate) async fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, Failure> {
        match self.control.instance(&self.caller(), id).await {
            Ok(instance) => Ok(Some(instance)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends serving and watching, and stops the instances. What is wanted of them stays.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        // From now on nothing starts an instance again.
        self.tasks.stop();
        let stopped = self.local.stop_all().await;
        self.tasks.drain(STOP_WITHIN).await;
        tracing::info!("stopped");
        Ok(stopped?)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let hint = match &error {
            Error::DiskFull => "free space on that disk, and start it again",
            Error::Sealed(_) => {
                "name the key that sealed them with MEMCLOUD_SEALING_KEY, or restore the file sealing.key of the console"
            }
            _ => "check the disk that holds the console's data, and start it again",
        };
        Self::new(with_causes(&error), hint)
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::new(reason.message, reason.hint)
    }
}

fn unusable(url: &str, why: &str) -> Failure {
    Failure::new(format!("the console cannot serve at {url}: {why}"), "choose another address with --listen")
}

/// The address of a listener, for programs of this machine.
pub(crate) fn url_of(listener: &TcpListener) -> Result<String, Failure> {
    let address = listener.local_addr().map_err(|error| unusable("its address", &error.to_string()))?;
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(format!("http://{}", std::net::SocketAddr::new(ip, address.port())))
}
