//! Instances as processes of this machine.
//!
//! An instance is a child `memcloud serve` with a port, a data directory, a key and a log of its own. The child outlives the
//! console: it is in a process group of its own, and the next console finds it again by the file that it holds
//! ([`ProcessClaim`]). No instance is started twice: a second child finds that file held, and ends.
//!
//! ```text
//! <console data>/instances/<id>/data/         its data, unless another directory was given
//!                               log, log.1    what it logged and printed, and the part before it
//!                               process.json  held by its process while that lives
//! <console data>/programs/<hash>/memcloud     what instances run
//! ```
//!
//! Settings with secrets go to the child by environment variables alone; the command line shows none.

mod data;
mod environment;
mod files;
mod folder;
mod leftovers;
mod log;
mod placement;
mod plans;
mod process;
mod process_file;
mod programs;
mod steps;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use memcloud_client::Client;
use memcloud_domain::{Clock, with_causes};
use memcloud_tasks::Tasks;
use serde_json::Value;
use tokio::sync::Mutex;

pub use environment::variables;
pub use log::ProcessLog;
pub use placement::Placement;
pub use process_file::{ProcessClaim, ProcessRecord};
pub use programs::{InvalidProgramId, ProgramId};

use self::folder::Folder;
use self::programs::Programs;
use super::{ConnectionCheck, Draft, Leftover, LogPart, LogPosition, Observed, SettingsSource, Target};
use crate::instances::{Instance, Reason};
use crate::operations::{OperationKind, Step};
use crate::store::{ControlStore, InstanceChange, PageQuery};
use crate::{Error, InstanceId};

/// What this target works with.
pub struct LocalSetup {
    /// The folder that the console keeps its data in.
    pub data_dir: PathBuf,
    /// The program that new instances run; `None` for that of this process. It is copied.
    pub program: Option<PathBuf>,
    /// The ports of instances that are given no address; the lowest free one is taken.
    pub ports: RangeInclusive<u16>,
    /// The variables of every instance that do not come from its settings: where programs and the home folder are, the
    /// embedding model, limits, the level of the log. Instances get no other variable of the console.
    pub environment: Vec<(String, String)>,
    /// Where the settings of instances are.
    pub settings: Arc<dyn SettingsSource>,
    /// What tries their connections.
    pub connections: Arc<dyn ConnectionCheck>,
    /// Where instances are kept.
    pub store: Arc<dyn ControlStore>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What waits for children that have ended.
    pub tasks: Arc<Tasks>,
}

/// The usual ports of instances that are given no address: those after the one of the first instance.
pub const PORTS: RangeInclusive<u16> = 8081..=8980;

/// This machine as a place of instances.
#[derive(Clone)]
pub struct LocalTarget(Arc<Local>);

/// What its steps share.
struct Local {
    setup: LocalSetup,
    programs: Programs,
    /// The program of this console.
    program: ProgramId,
    /// Held while a port is chosen, so that no two instances get the same.
    choosing: Mutex<()>,
}

impl LocalTarget {
    /// Makes the folders, and copies the program of this console.
    pub async fn open(setup: LocalSetup) -> Result<Self, Reason> {
        files::make_folder(&Folder::all(&setup.data_dir))?;
        let programs = Programs::new(&setup.data_dir);
        let (copies, given) = (programs.clone(), setup.program.clone());
        let kept = files::blocking(move || match given {
            Some(program) => copies.keep(&program),
            None => copies.keep_running(),
        });
        let program =
            kept.await.map_err(|error| files::failed("copy the program to", &setup.data_dir, &error))?;
        Ok(Self(Arc::new(Local { setup, programs, program, choosing: Mutex::default() })))
    }

    /// The program of this console.
    pub fn program(&self) -> &ProgramId {
        &self.0.program
    }

    /// Stops the processes of all instances. What is wanted of them stays, so the next console starts them again.
    pub async fn stop_all(&self) -> Result<(), Reason> {
        let instances = self.0.all_instances().await?;
        let stopped = join_all(instances.iter().map(|instance| self.0.stop(&instance.id))).await;
        stopped.into_iter().try_for_each(|stopped| stopped.map(drop))
    }

    /// Removes the copies of programs that no instance runs any more.
    pub async fn remove_unused_programs(&self) -> Result<(), Reason> {
        let mut used = vec![self.0.program.clone()];
        for instance in self.0.all_instances().await? {
            // What cannot be read may name any of them.
            used.extend(Placement::of(&instance)?.program);
        }
        let programs = self.0.programs.clone();
        let removed = files::blocking(move || programs.remove_others(&used)).await;
        removed.map_err(|error| files::failed("remove old programs in", &self.0.setup.data_dir, &error))
    }
}

#[async_trait]
impl Target for LocalTarget {
    async fn plan(&self, kind: OperationKind, instance: &Instance, request: &Value) -> Draft {
        plans::plan(kind, instance, request).into()
    }

    fn step(&self, name: &str) -> Option<Arc<dyn Step>> {
        steps::step(&self.0, name)
    }

    async fn observe(&self, instance: &Instance) -> Observed {
        match self.0.alive(&instance.id) {
            Ok(None) => Observed::Gone,
            // Where the kernel does not say so, starting it again would end at the file that it holds.
            Ok(Some(_)) | Err(_) => Observed::Alive,
        }
    }

    async fn leftovers(&self, instances: &[Instance]) -> Vec<Leftover> {
        leftovers::find(&self.0, instances)
    }

    async fn log(&self, instance: &Instance, from: LogPosition) -> Result<LogPart, Reason> {
        let path = self.0.folder(&instance.id).log();
        let read = path.clone();
        files::blocking(move || log::read(&read, from))
            .await
            .map_err(|error| files::failed("read", &path, &error))
    }
}

impl Local {
    fn folder(&self, id: &InstanceId) -> Folder {
        Folder::of(&self.setup.data_dir, id)
    }

    /// A client with the key of the control plane.
    async fn client(&self, instance: &Instance) -> Result<Client, Reason> {
        let url = Placement::of(instance)?.url()?;
        let key = self.setup.settings.settings(&instance.id).await?.key;
        Client::new(&url, Some(key.into()))
            .map_err(|error| Reason::new(with_causes(&error), "check the proxy settings of the console"))
    }

    async fn all_instances(&self) -> Result<Vec<Instance>, Reason> {
        let all = PageQuery { limit: usize::MAX, cursor: None };
        let page = self.setup.store.instances(None, None, &all).await;
        page.map(|page| page.items).map_err(|error| unkept(&error))
    }

    async fn change(&self, id: &InstanceId, change: InstanceChange) -> Result<(), Reason> {
        let changed = self.setup.store.change_instance(id, &change, self.setup.clock.now()).await;
        changed.map_err(|error| unkept(&error))
    }

    async fn place(&self, id: &InstanceId, placement: &Placement) -> Result<(), Reason> {
        let placement = Some(placement.to_value());
        self.change(id, InstanceChange { placement, ..InstanceChange::default() }).await
    }
}

fn unkept(error: &Error) -> Reason {
    Reason::new(with_causes(error), "check the disk that holds the console's data, then retry")
}

/// Why the instance did not do what a step asked of it.
fn refused(error: &memcloud_client::Error) -> Reason {
    let hint = error.refusal().and_then(|refusal| refusal.hint.clone());
    Reason::new(
        with_causes(error),
        hint.unwrap_or_else(|| "read its log with 'memcloud instances logs', then retry".into()),
    )
}
