//! The log of a server, on stderr or in the file of an instance.

use std::io::stderr;
use std::sync::Mutex;

use memcloud_control::targets::local::ProcessLog;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::failure::Failure;
use crate::output::colors_on;
use crate::settings::{LOG, LOG_FORMAT, Sources};

/// How log lines are written.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// Starts the log. Called once, by the commands that run a server.
#[expect(
    clippy::disallowed_methods,
    reason = "log lines are not for output.rs: `tracing` escapes control characters"
)]
pub(crate) fn start(
    sources: &Sources,
    format: Option<LogFormat>,
    level: &str,
    file: Option<ProcessLog>,
) -> Result<(), Failure> {
    let wanted = sources.text(&LOG, None).unwrap_or_else(|| level.into());
    let wrong = |why: &str| {
        Failure::usage(
            format!("{} is '{wanted}': {why}", LOG.name),
            "set it to error, warn, info, debug or trace",
        )
    };
    // A filter takes any single word for the name of a module, and would then log nothing at all.
    if !wanted.contains('=') && wanted.parse::<LevelFilter>().is_err() {
        return Err(wrong("that is not a level"));
    }
    let filter = EnvFilter::builder().parse(&wanted).map_err(|error| wrong(&error.to_string()))?;
    let colors = file.is_none() && colors_on(&stderr());
    let writer = file.map_or_else(|| BoxMakeWriter::new(stderr), |file| BoxMakeWriter::new(Mutex::new(file)));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colors);
    match format.map_or_else(|| configured(sources), Ok)? {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

fn configured(sources: &Sources) -> Result<LogFormat, Failure> {
    let Some(text) = sources.text(&LOG_FORMAT, None) else { return Ok(LogFormat::Text) };
    clap::ValueEnum::from_str(text.trim(), true)
        .map_err(|_| Failure::usage(format!("{} is '{text}'", LOG_FORMAT.name), "set it to text or json"))
}
