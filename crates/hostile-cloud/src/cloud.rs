//! A running cloud.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::apis::{images, run, sql};
use crate::faults::{Fault, Faults, On};
use crate::options::Options;
use crate::policy::FOREIGN_MEMBER;
use crate::recorded::Recorded;
use crate::schemas::Violation;
use crate::server;
use crate::servers::{Entrance, Graphs};
use crate::shared::Shared;
use crate::state::State;
use crate::tokens::AuraAccount;

/// A stand-in for Google Cloud and Neo4j Aura on this machine. Dropping it ends every process that it started.
///
/// It runs on a thread of its own, and its methods block: call them inside a runtime as well as outside.
pub struct HostileCloud {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    // Removed after everything in it has ended.
    root: TempDir,
}

impl HostileCloud {
    /// Starts a cloud on a free port of 127.0.0.1.
    pub fn start(options: Options) -> Result<Self> {
        let root =
            tempfile::Builder::new().prefix("mc-").rand_bytes(5).tempdir().context("cannot make a folder")?;
        open_to_all(root.path())?;
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let place = root.path().to_owned();
        let thread = std::thread::Builder::new().name("hostile-cloud".to_owned()).spawn(move || {
            live(options, place, &ready, stopped);
        })?;
        let shared = started.recv().map_err(|_| anyhow!("the thread of the cloud has ended"))??;
        let cloud = Self { shared, stop: Some(stop), thread: Some(thread), root };
        cloud.write_files()?;
        Ok(cloud)
    }

    fn write_files(&self) -> Result<()> {
        let state = self.shared.state();
        let credentials = state.tokens.credentials(&state.project.id);
        fs::write(self.credentials_file(), credentials.to_string()).context("cannot write the credentials")
    }

    /// The address of everything: the API `run.googleapis.com` is at `{base}/run.googleapis.com/…`.
    pub fn base(&self) -> String {
        self.shared.state().base.clone()
    }

    /// The id of the project.
    pub fn project(&self) -> String {
        self.shared.state().project.id.clone()
    }

    /// The number of the project.
    pub fn number(&self) -> u64 {
        self.shared.state().project.number
    }

    /// A file for `GOOGLE_APPLICATION_CREDENTIALS`: the key of a service account of the project.
    pub fn credentials_file(&self) -> PathBuf {
        self.root.path().join("credentials.json")
    }

    /// The value for `GCE_METADATA_HOST`.
    pub fn metadata_host(&self) -> String {
        self.base().trim_start_matches("http://").to_owned()
    }

    /// The account of Aura's API.
    pub fn aura(&self) -> AuraAccount {
        self.shared.state().tokens.aura.clone()
    }

    /// The authority that signs the certificates of the databases, and those that this machine trusts: for `SSL_CERT_FILE`.
    pub fn authorities_file(&self) -> PathBuf {
        self.shared.state().graphs.authorities_file().to_owned()
    }

    /// The folder in which everything is: the sockets of the databases are at `cloudsql/P:L:I/.s.PGSQL.5432` below it.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The image of the server, by digest; empty without a server.
    pub fn image(&self) -> String {
        images::newest(&self.shared.state())
    }

    /// Pushes another image of the same program, and answers its name with the digest.
    pub fn push_image(&self, tag: &str) -> String {
        images::push(&mut self.shared.state(), &[tag])
    }

    /// The environment of a console or client that uses this cloud.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let aura = self.aura();
        vec![
            ("GOOGLE_CLOUD_PROJECT", self.project()),
            ("MEMCLOUD_GOOGLE_ENDPOINT", self.base()),
            ("GOOGLE_APPLICATION_CREDENTIALS", self.credentials_file().display().to_string()),
            ("GCE_METADATA_HOST", self.metadata_host()),
            ("AURA_CLIENT_ID", aura.client_id),
            ("AURA_CLIENT_SECRET", aura.client_secret),
            ("AURA_TENANT_ID", aura.tenant_id),
            ("SSL_CERT_FILE", self.authorities_file().display().to_string()),
        ]
    }

    /// The requests to APIs so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// The requests that broke the description of their API.
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.state().violations.clone()
    }

    /// The full names of everything that a client has made and that still exists.
    pub fn resources(&self) -> Vec<String> {
        let mut state = self.shared.state();
        let names: Vec<String> = state.resources.keys().cloned().collect();
        for name in &names {
            state.look_at(name);
        }
        let made = state.resources.keys().filter(|name| !state.given.contains(*name));
        made.cloned().collect()
    }

    /// A resource as its API answers it, such as `projects/P/instances/I`.
    pub fn resource(&self, name: &str) -> Option<serde_json::Value> {
        self.shared.state().resources.get(name).cloned()
    }

    /// How many processes run: databases, and the servers of services.
    pub fn process_count(&self) -> usize {
        let state = self.shared.state();
        state.databases.count() + state.containers.count() + state.graphs.count()
    }

    /// Makes the cloud's clock go ahead: tokens expire, blocked names become free, held addresses are released.
    pub fn advance(&self, by: Duration) {
        self.shared.state().clock.advance(by);
    }

    /// Keeps all operations pending until it is called with `false`.
    pub fn hold_operations(&self, held: bool) {
        self.shared.state().operations.held = held;
    }

    /// Changes how hostile the cloud is.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.state().faults.level = faults;
    }

    /// Makes the next matching request fail. Several wait in line.
    pub fn fail_next(&self, on: On, fault: Fault) {
        self.shared.state().faults.fail_next(on, fault);
    }

    /// Gives the caller a permission such as `run.services.create`, or takes it away. At first it has all.
    pub fn set_permission(&self, permission: &str, has: bool) {
        let lacking = &mut self.shared.state().project.lacking;
        if has {
            lacking.remove(permission)
        } else {
            lacking.insert(permission.to_owned())
        };
    }

    /// Links the project to a billing account, or unlinks it.
    pub fn set_billing(&self, on: bool) {
        self.shared.state().project.billing = on;
    }

    /// Enables an API at once, or disables it.
    pub fn set_api(&self, host: &str, on: bool) {
        let enabled = &mut self.shared.state().project.enabled;
        if on {
            enabled.insert(host.to_owned())
        } else {
            enabled.remove(host)
        };
    }

    /// Limits how many resources of a kind may exist: `sql.instances`, `run.services`, `secrets`, `networks`, `instances`.
    pub fn set_quota(&self, kind: &str, most: usize) {
        self.shared.state().project.quotas.insert(kind.to_owned(), most);
    }

    /// Takes a region out of service, or puts it back.
    pub fn set_region(&self, region: &str, open: bool) {
        let closed = &mut self.shared.state().project.closed;
        if open {
            closed.remove(region)
        } else {
            closed.insert(region.to_owned())
        };
    }

    /// Blocks the name of a Cloud SQL instance for a week, as its deletion does.
    pub fn block_sql_name(&self, name: &str) {
        sql::block(&mut self.shared.state(), name);
    }

    /// Whether what another administrator has granted in the project is still granted.
    pub fn foreign_binding_kept(&self) -> bool {
        let state = self.shared.state();
        let policy = state.policies.get(&format!("projects/{}", state.project.id));
        policy.is_some_and(|policy| policy.grants("roles/owner", FOREIGN_MEMBER))
    }

    /// Ends every server of a service, as Cloud Run may at any time. The next request starts it again.
    pub fn restart_services(&self) {
        self.shared.state().containers.restart();
    }
}

impl std::fmt::Debug for HostileCloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostileCloud").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Drop for HostileCloud {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, the test has seen the effect.
            let _ = thread.join();
        }
        let mut state = self.shared.state();
        state.containers.clear();
        state.graphs.clear();
        state.databases.clear();
    }
}

/// Runs the cloud until it is stopped.
fn live(
    options: Options,
    root: PathBuf,
    ready: &mpsc::Sender<Result<Arc<Shared>>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error.into()))),
    };
    runtime.block_on(async {
        match listen(options, root).await {
            Ok((listener, shared)) => {
                // The starter waits for it.
                let _ = ready.send(Ok(Arc::clone(&shared)));
                tokio::select! {
                    () = server::serve(listener, shared) => {}
                    _ = stopped => {}
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
    // What still runs on threads of its own ends with its processes.
    runtime.shutdown_background();
}

async fn listen(options: Options, root: PathBuf) -> Result<(TcpListener, Arc<Shared>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
    let base = format!("http://{}", listener.local_addr()?);
    let graphs = Graphs::new(&root)?;
    let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
        let shared = shared.clone();
        let entrance = Entrance {
            runtime: Handle::current(),
            guide: Arc::new(move |place, authorization| {
                let shared = shared.upgrade().ok_or((503, "Service Unavailable"))?;
                run::destination(&shared.state(), &place.service, place.tag.as_deref(), authorization)
            }),
        };
        let mut state = State::new(options, root, base, graphs, entrance);
        images::stock(&mut state);
        Shared::new(state)
    });
    Ok((listener, shared))
}

/// Lets the account that runs the databases enter a folder.
fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).context("cannot open a folder")
}
