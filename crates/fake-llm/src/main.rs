//! The stand-in as a program, for development: `cargo run -p memcloud-fake-llm -- --fault slow=2s`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use memcloud_fake_llm::{FakeLlm, Fault, NAME, Options, Pause, StartError};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Run a stand-in for a language model, for development: it quotes its context, and fails on demand
#[derive(Debug, Parser)]
#[command(name = "memcloud-fake-llm", version)]
struct Cli {
    /// Where to listen, on this machine only; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The key that calls must send (default: none)
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// What goes wrong with every call; may be repeated. An unknown name lists all of them
    #[arg(long = "fault", value_name = "NAME[=VALUE]")]
    faults: Vec<Fault>,
    /// How long it takes before each answer, such as 30ms
    #[arg(long, value_name = "TIME", default_value = "0s")]
    latency: Pause,
    /// Up to how much longer, at random
    #[arg(long, value_name = "TIME", default_value = "0s")]
    jitter: Pause,
}

#[expect(clippy::disallowed_methods, reason = "a program for development logs and prints by itself")]
fn main() -> ExitCode {
    let Cli { listen, key, faults, latency, jitter } = Cli::parse();
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(io::stderr).init();
    let options = Options { listen, key, faults, latency: latency.0, jitter: jitter.0 };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program for development logs and prints by itself")]
fn run(options: Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let has_key = options.key.is_some();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let model = FakeLlm::start(options).map_err(not_started)?;
        tracing::info!("listening on {}", model.url());
        writeln!(io::stdout(), "{}", welcome(&model.url(), has_key))?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

fn not_started(error: StartError) -> io::Error {
    match error {
        StartError::Listen(address, source) => {
            io::Error::new(source.kind(), format!("cannot listen on {address}: {source}"))
        }
        other => io::Error::other(other),
    }
}

/// How to use it.
fn welcome(url: &str, has_key: bool) -> String {
    let server = url.trim_end_matches("/v1");
    let key = if has_key { "  export OPENAI_API_KEY=<the key>\n" } else { "" };
    format!(
        "A stand-in for a language model, for development only: it quotes its context.\n\n  address   {url}\n  \
         calls     {server}/dev/calls\n  faults    {server}/dev/faults\n\nIn another shell:\n\n{key}  \
         export OPENAI_BASE_URL={url} MEMCLOUD_CHAT_MODEL={NAME}\n  memcloud serve"
    )
}
