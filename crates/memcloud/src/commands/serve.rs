use std::path::{Path, PathBuf};

use memcloud_control::targets::local::{ProcessClaim, ProcessLog};

use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::listen::listen;
use crate::logging::{self, LogFormat};
use crate::settings::{DataFlags, InstanceSettings, serve_address};
use crate::signals::stop_signal;
use crate::{api_keys, opening, permissions};

/// Run one memory instance in the foreground, as a container does
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where to listen (`PORT` with `HOST`, or `MEMCLOUD_LISTEN`; default: 127.0.0.1:8080)
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    data: DataFlags,
    /// How to log (`MEMCLOUD_LOG_FORMAT`; default: text)
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    /// The file that the process holds while it lives, by which a console knows it
    #[arg(long, value_name = "FILE", hide = true)]
    process_file: Option<PathBuf>,
    /// The file that the process logs to in place of stderr, whose size it bounds
    #[arg(long, value_name = "FILE", hide = true)]
    log_file: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    // Before anything else: a second process of the same instance must not touch its data.
    let claim = args.process_file.as_deref().map(claim).transpose()?;
    let log = args.log_file.as_deref().map(log).transpose()?;
    logging::start(&context.sources, args.log_format, "info", log)?;
    let address = serve_address(&context.sources, args.listen.as_deref())?;
    let mut settings = InstanceSettings::resolve(&context.sources, &args.data)?;
    settings.warn(context.output);
    permissions::warn(&settings.config.data_dir, context.sources.secret_files()?);
    let console_key = settings.console_key.as_ref();
    settings.config.keys = api_keys::accepted(&settings.keys, console_key, &settings.config.data_dir)?;
    let listener = listen(&address).await?;
    let instance = opening::open(&settings.config, listener, &address, context.output).await?;
    let stop = stop_signal()?;
    if let Some((claim, path)) = &claim {
        let said = claim.announce(&instance.url(), env!("CARGO_PKG_VERSION"));
        said.map_err(|error| Failure::file("write", path, &error))?;
    }
    instance.serve(stop).await?;
    Ok(Exit::Ok)
}

fn log(path: &Path) -> Result<ProcessLog, Failure> {
    ProcessLog::open(path).map_err(|error| Failure::file("write", path, &error))
}

/// Takes the file for this process, up to its very end: a console that sees it end finds its last message in the log.
fn claim(path: &Path) -> Result<(&'static ProcessClaim, &Path), Failure> {
    let taken = ProcessClaim::take(path).map_err(|error| Failure::file("take", path, &error))?;
    let claim = taken.ok_or_else(|| {
        let message = format!("another process holds {}: the instance runs already", path.display());
        Failure::new(message, "stop that process first").ending(Exit::AlreadyRunning)
    })?;
    Ok((Box::leak(Box::new(claim)), path))
}
