use std::path::PathBuf;
use std::sync::Arc;

use memcloud_ports::Engine;
use memcloud_store_sqlite::SqliteStore;

use crate::commands::Context;
use crate::copy;
use crate::failure::{Exit, Failure};
use crate::settings::{DataFlags, engines};

/// Copy the whole memory, with its vectors, into a data directory; checked by count and checksum
///
/// The memory is the one that the settings name: Neo4j, PostgreSQL or a data directory. An interrupted export goes on
/// where it stopped when it is run again.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The data directory to copy into; made when it is missing
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The data directory to copy from, or that the records are in (`MEMCLOUD_DATA_DIR`; default:
    /// ~/.local/share/memcloud)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let data_dir =
        DataFlags { data_dir: args.data_dir, ..DataFlags::default() }.data_dir(&context.sources)?;
    let engines = engines(&context.sources)?;
    let to = context.sources.expanded("--to", &args.to)?;
    let source = engines.open(&data_dir).await?;
    let target = Engine::of(Arc::new(SqliteStore::open(&to).await?));
    copy::copy(&source, &target, "exporting", context.output).await?;
    Ok(Exit::Ok)
}
