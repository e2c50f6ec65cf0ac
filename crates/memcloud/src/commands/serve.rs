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
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    logging::start(&context.sources, args.log_format, "info")?;
    let address = serve_address(&context.sources, args.listen.as_deref())?;
    let mut settings = InstanceSettings::resolve(&context.sources, &args.data)?;
    settings.warn(context.output);
    permissions::warn(&settings.config.data_dir, context.sources.secret_files()?);
    settings.config.keys = api_keys::accepted(&settings.keys, &settings.config.data_dir)?;
    let listener = listen(&address).await?;
    let instance = opening::open(&settings.config, listener, &address, context.output).await?;
    instance.serve(stop_signal()?).await?;
    Ok(Exit::Ok)
}
