//! One owner for background work.
//!
//! Everything that runs in addition to the requests belongs to a [`Tasks`]. A task has a name, is asked to stop through a
//! cancellation token, and is cut off when its owner is dropped. No task outlives its owner.
//!
//! Work is shut down in the order of dependency: drain the owner that uses a service before the owner of the service.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use memcloud_tasks::Tasks;
//!
//! let tasks = Tasks::new();
//! tasks.spawn("sweeper", |stop| async move {
//!     while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(2))).await.is_some() {
//!         // Sweep.
//!     }
//! });
//! assert_eq!(tasks.drain(Duration::from_secs(1)).await, 0);
//! # });
//! ```
//!
//! [`compute`] runs what takes long on a thread that serves no requests and gives way to those that do; [`step_aside`] is for what
//! borrows from its caller.

mod compute;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use compute::{INLINE_BYTES, INLINE_SCANNED_BYTES, compute, give_way, step_aside};

/// The owner of tasks. Dropping it cuts them off.
#[derive(Debug)]
pub struct Tasks {
    running: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
    ended: Arc<Notify>,
}

/// The work panicked, or was cut off before it had a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task '{0}' did not finish")]
pub struct Unfinished(pub &'static str);

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// An owner without tasks.
    pub fn new() -> Self {
        let running = TaskTracker::new();
        // Only a closed tracker reports that it is empty. It still takes new tasks.
        running.close();
        Self { running, stop: CancellationToken::new(), cut: CancellationToken::new(), ended: Arc::default() }
    }

    /// Starts a task on the current runtime. Its token is cancelled when it should stop. A panic is logged with the
    /// task's name and ends this task alone.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "this is the owner")]
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = AssertUnwindSafe(task(self.stop.clone())).catch_unwind();
        let (stop, cut, ended) = (self.stop.clone(), self.cut.clone(), Arc::clone(&self.ended));
        let running = self.running.token();
        tokio::spawn(async move {
            match cut.run_until_cancelled(task).await {
                Some(Err(panic)) => {
                    tracing::error!(
                        task = name,
                        panic = message(panic.as_ref()),
                        "a background task panicked"
                    );
                }
                None if stop.is_cancelled() => tracing::warn!(task = name, "cut off at shutdown"),
                Some(Ok(())) | None => {}
            }
            // First it counts as ended, then it is announced.
            drop(running);
            ended.notify_one();
        });
    }

    /// Runs work to its end, even when the caller stops waiting for it.
    pub async fn run<T, F>(
        &self,
        name: &'static str,
        work: impl FnOnce(CancellationToken) -> F,
    ) -> Result<T, Unfinished>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (send, result) = oneshot::channel();
        self.spawn(name, |stop| {
            let work = work(stop);
            async move {
                // The caller may have stopped waiting.
                let _ = send.send(work.await);
            }
        });
        result.await.map_err(|_| Unfinished(name))
    }

    /// The number of tasks that have not ended.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether all tasks have ended.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits until a task ends, or returns at once if one has ended since the last call.
    pub async fn any_ended(&self) {
        self.ended.notified().await;
    }

    /// Waits until all tasks have ended. Asks none of them to stop.
    pub async fn finished(&self) {
        self.running.wait().await;
    }

    /// Asks all tasks to stop, without waiting for them. Tasks started later are asked at once.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Asks all tasks to stop and waits for them. Those that take longer than the deadline are cut off and logged by
    /// name. Returns how many that were.
    pub async fn drain(&self, deadline: Duration) -> usize {
        self.stop();
        if tokio::time::timeout(deadline, self.finished()).await.is_ok() {
            return 0;
        }
        let late = self.len();
        self.cut.cancel();
        self.finished().await;
        late
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("not a text")
}
