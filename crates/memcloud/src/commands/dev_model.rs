use std::net::SocketAddr;

use memcloud_fake_llm::{DevModel, Fault, NAME, Options, Pause, StartError};
use serde_json::json;

use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::signals::stop_signal;

/// Run a stand-in for a language model, for development: it quotes what it is shown, and fails on demand
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where to listen, on this machine only; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The key that calls must show (default: none need to)
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// What goes wrong with every call; several at once are possible. A wrong name lists them all
    #[arg(long = "fault", value_name = "NAME[=VALUE]")]
    faults: Vec<Fault>,
    /// How long it takes before each answer, such as 30ms
    #[arg(long, value_name = "TIME", default_value = "0s")]
    latency: Pause,
    /// Up to how much longer, at random
    #[arg(long, value_name = "TIME", default_value = "0s")]
    jitter: Pause,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    logging::start(&context.sources, None, "info")?;
    let stop = stop_signal()?;
    let locked = args.key.is_some();
    let model = DevModel::start(options(args)).map_err(|error| not_started(&error))?;
    let url = model.url();
    tracing::info!("listening on {url}");
    if context.output.json {
        context.output.value(&json!({"url": url, "model": NAME}));
    } else {
        context.output.data(welcome(&url, locked));
    }
    stop.await;
    // Nothing is worth an orderly end: an answer that breaks off is what it is for.
    drop(model);
    Ok(Exit::Ok)
}

fn options(args: Args) -> Options {
    let Args { listen, key, faults, latency, jitter } = args;
    Options { listen, key, faults, latency: latency.0, jitter: jitter.0 }
}

fn not_started(error: &StartError) -> Failure {
    match error {
        StartError::Exposed(_) => Failure::usage(error.to_string(), "listen on 127.0.0.1"),
        StartError::Listen(_, why) => {
            Failure::new(format!("{error}: {why}"), "choose another port with --listen")
        }
        StartError::NoRuntime => Failure::new(error.to_string(), "start it again"),
    }
}

/// How to use it. Nothing uses it unless it is named.
fn welcome(url: &str, locked: bool) -> String {
    let server = url.trim_end_matches("/v1");
    let key = if locked { "  export OPENAI_API_KEY=<the key>\n" } else { "" };
    format!(
        "A stand-in for a language model, for development only: it quotes what it is shown.\n\n  address   {url}\n  \
         asked     {server}/dev/calls\n  faults    {server}/dev/faults\n\nIn another shell:\n\n{key}  \
         export OPENAI_BASE_URL={url} MEMCLOUD_CHAT_MODEL={NAME}\n  memcloud serve"
    )
}
