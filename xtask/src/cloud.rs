//! A stand-in for Google Cloud and Neo4j Aura, for trying deployments without an account.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use memcloud_hostile_cloud::{Faults, HostileCloud, Options};
use tokio::signal::unix::{SignalKind, signal};

use crate::databases::{self, quoted};
use crate::steps::{cargo, note, prepare, say, target_dir};
use crate::test;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What faults and names depend on
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How hostile it is: none, some or hostile
    #[arg(long, default_value = "none")]
    faults: Faults,
    /// The program in the container image, instead of a build of memcloud
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
}

/// Starts a cloud, prints the settings that point a console at it, and keeps it until Ctrl-C or SIGTERM.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    // From here on a signal ends the cloud in order, even one that comes while it is being prepared.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let target = target_dir()?;
    let (postgres, neo4j) = databases::newest(&target)?;
    let server = args.server.clone().map_or_else(|| built(&target), Ok)?;
    let options = Options::default().seed(args.seed).faults(args.faults).server(server);
    let cloud = HostileCloud::start(with_model(options, &target).postgres(postgres).neo4j(neo4j))?;
    for (name, value) in cloud.environment() {
        say(&format!("export {name}={}", quoted(OsStr::new(&value))));
    }
    say("");
    runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    Ok(true)
}

/// A build of memcloud.
fn built(target: &Path) -> Result<PathBuf> {
    if !prepare(&mut cargo(&["build", "--quiet", "--package", "memcloud"]))? {
        bail!("memcloud cannot be built: see above");
    }
    let program = target.join("debug/memcloud");
    program.canonicalize().with_context(|| format!("the build left no {}", program.display()))
}

/// The image has the embedding model in it. Where that cannot be fetched, the server searches by words alone.
fn with_model(options: Options, target: &Path) -> Options {
    if test::fetch(target).unwrap_or(false) {
        let model = target.join("models/all-MiniLM-L6-v2");
        return options.image_env("MEMCLOUD_MODEL_DIR", model.display().to_string());
    }
    note("the embedding model cannot be fetched: the servers search by words alone");
    options.image_env("MEMCLOUD_OFFLINE", "true")
}
