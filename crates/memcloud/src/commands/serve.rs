use memcloud_server::require_key_beyond_loopback;

use crate::api_keys;
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::instance::{self, Instance};
use crate::logging::{self, LogFormat};
use crate::settings::{DataFlags, InstanceSettings, addresses, serve_address};

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
    let listen = serve_address(&context.sources, args.listen.as_deref())?;
    let settings = InstanceSettings::resolve(&context.sources, &args.data, listen)?;
    settings.warn(context.output);
    let keys = api_keys::accepted(&settings.keys, &settings.data_dir)?;
    for address in addresses(&settings.listen)? {
        require_key_beyond_loopback(address.ip(), &keys).map_err(instance::exposed)?;
    }
    let listener = instance::listen(&settings, "--listen").await?;
    Instance::open(&settings, keys, listener, context.output).await?.serve().await?;
    Ok(Exit::Ok)
}
