use std::path::PathBuf;

use memcloud_instance::engines::open_directory;

use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::opening;
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
    let target = open_directory(&to).await?;
    opening::copy_memory(&source, &target, "exporting", context.output).await?;
    Ok(Exit::Ok)
}
