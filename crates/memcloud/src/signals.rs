use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Ready when the process is asked to stop, by Ctrl-C or SIGTERM. Logs which it was.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()> + Send, Failure> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt()).map_err(|error| failure(&error))?,
        signal(SignalKind::terminate()).map_err(|error| failure(&error))?,
    );
    Ok(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!("received {name}, draining requests");
    })
}

fn failure(error: &io::Error) -> Failure {
    Failure::new(format!("cannot listen for signals: {error}"), "start it again")
}
