use std::path::{Path, PathBuf};

use memcloud_domain::Error as StorageError;
use memcloud_instance::engines::holds_memory;
use memcloud_instance::engines::sqlite::{self, Backup};
use memcloud_instance::{Engines, Error};
use serde_json::json;

use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::settings::{DataFlags, engines};

/// Copy the data directory's database into one file, while a server runs or not; the copy is checked
///
/// Everything that was answered before is in the copy. Never copy the files of a running server: such a copy may be broken.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The new file, or a folder that gets a `memory.sqlite3`; nothing is overwritten
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
    /// The data directory to copy (`MEMCLOUD_DATA_DIR`; default: ~/.local/share/memcloud)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let data_dir =
        DataFlags { data_dir: args.data_dir, ..DataFlags::default() }.data_dir(&context.sources)?;
    refuse_databases(&engines(&context.sources)?)?;
    if !holds_memory(&data_dir) {
        let message = format!("{} holds no memory", data_dir.display());
        return Err(Failure::new(message, "name its directory with --data-dir"));
    }
    let to = file(&context.sources.expanded("--to", &args.to)?);
    // A link that leads nowhere is there as well.
    if to.symlink_metadata().is_ok() {
        return Err(Failure::new(format!("{} is there already", to.display()), "name a new file with --to"));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(missing) = folder.filter(|folder| !folder.is_dir()) {
        let message = format!("the folder {} does not exist", missing.display());
        return Err(Failure::new(message, "make it, or name another place with --to"));
    }
    let target = to.clone();
    let copied = tokio::task::spawn_blocking(move || sqlite::back_up(&data_dir, &target)).await;
    let copied = copied.map_err(|panic| Failure::new(panic.to_string(), "run 'memcloud doctor'"))?;
    let copied = copied.map_err(|error| failed(&to, error))?;
    let Backup { episodes, bytes, missing } = copied;
    let (to, file) = (to.display().to_string(), sqlite::FILE);
    let values = json!({"file": to, "memories": episodes, "bytes": bytes, "missing": missing});
    context.output.answer(&values, |output| {
        output.data(format!(
            "{episodes} memories, {bytes} bytes, checked: {to}; to restore, put it into an empty data directory as {file}"
        ));
    });
    missing.map_or(Ok(Exit::Ok), |missing| {
        let message =
            format!("the copy is kept, and has what is left of a memory that lost writes: {missing}");
        Err(Failure::new(message, "keep your earlier backups; the guide to backups says what to do"))
    })
}

/// Why there is no copy. Its place can be the reason as well as the database.
fn failed(to: &Path, error: StorageError) -> Failure {
    let to = to.display();
    match error {
        StorageError::StorageFull(_) => Failure::new(
            format!("there is no room for {to}"),
            "free space on that disk, or name a place on another one with --to",
        ),
        StorageError::StorageReadOnly(why) => Failure::new(
            format!("cannot copy the database to {to}: {why}"),
            "run it as a user that may read the data directory and write there, or name another place with --to",
        ),
        error => Error::Data(error).into(),
    }
}

/// Databases have backups of their own, which keep what belongs together.
fn refuse_databases(engines: &Engines) -> Result<(), Failure> {
    let (what, hint) = match (&engines.postgres, &engines.graph) {
        (None, None) => return Ok(()),
        (Some(_), None) => ("PostgreSQL", "use pg_dump, or 'memcloud export --to DIR'"),
        (_, Some(_)) => ("Neo4j and its records", "use 'memcloud export --to DIR' while no server writes"),
    };
    Err(Failure::new(format!("the memory is in {what}, not in a data directory"), hint))
}

fn file(to: &Path) -> PathBuf {
    if to.is_dir() { to.join(sqlite::FILE) } else { to.to_owned() }
}
