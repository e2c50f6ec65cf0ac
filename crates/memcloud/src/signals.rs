//! The signals that end a server. A thread of its own waits for them, so that they are noticed whatever is running.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::{Exit, Failure};

/// How long the process may take to end. What is stored is durable already, so nothing is lost then.
const ENDS_WITHIN: Duration = Duration::from_millis(4_900);
/// The bit of SIGHUP in the kernel's set of ignored signals.
const HANGUP_BIT: u64 = 1;

/// Completes when the process is asked to stop: by Ctrl-C, SIGTERM, or SIGHUP when its terminal is closed. Logs the signal.
/// From then on the process ends within five seconds.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()> + Send, Failure> {
    let (asked, stop) = oneshot::channel();
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failure(&error))?;
    let signals = signals(&runtime).map_err(|error| failure(&error))?;
    let wait = move || runtime.block_on(end(signals, asked));
    std::thread::Builder::new().name("signals".into()).spawn(wait).map_err(|error| failure(&error))?;
    Ok(async move {
        // The thread lives until it has sent this.
        let _ = stop.await;
    })
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` when the process was started to outlive its terminal, as `nohup` does.
    hangup: Option<Signal>,
}

fn signals(runtime: &Runtime) -> io::Result<Signals> {
    let _inside = runtime.enter();
    Ok(Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        hangup: if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) },
    })
}

#[expect(clippy::exit, reason = "threads that compute for long can be ended in no other way")]
async fn end(mut signals: Signals, asked: oneshot::Sender<()>) {
    let hangup = async {
        match &mut signals.hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    let name = tokio::select! {
        _ = signals.interrupt.recv() => "SIGINT",
        _ = signals.terminate.recv() => "SIGTERM",
        _ = hangup => "SIGHUP",
    };
    tracing::info!("received {name}, draining requests");
    // No one is waiting when the server has ended by itself.
    let _ = asked.send(());
    tokio::time::sleep(ENDS_WITHIN).await;
    tracing::error!("ended with work in progress, five seconds after {name}; what was answered is stored");
    std::process::exit(Exit::Failed as i32);
}

/// Whether SIGHUP was ignored when the process began. Only Linux says so.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set & HANGUP_BIT != 0)
}

fn failure(error: &io::Error) -> Failure {
    Failure::new(format!("cannot wait for signals: {error}"), "start it again")
}
