//! Asynchronous work for callers that may or may not be inside a runtime.

use std::future::Future;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Work on a separate runtime and thread, which ends with its handle.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the work. It is created on its own thread, where a runtime can be entered and dropped.
    pub(crate) fn start<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = runtime()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = work() => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If the work panicked, the test has seen the effect.
            let _ = thread.join();
        }
    }
}

/// Runs asynchronous work to its end.
pub(crate) fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> Result<T> {
    let done = thread::scope(|scope| scope.spawn(|| Ok(runtime()?.block_on(work))).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start a runtime")
}
