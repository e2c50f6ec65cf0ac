use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use crate::{Unfinished, message};

/// Up to this many bytes of text are read on the thread that serves the request: that takes less time than a switch to
/// another thread and back.
pub const INLINE_BYTES: usize = 4 << 10;

/// How many computations run at once in the process: two for each core, so that a short one seldom waits for long ones.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(2 * available_parallelism().map_or(2, usize::from)));

/// Runs a computation on a thread that serves no requests. Waits while too many others run. A computation that has begun
/// runs to its end even when its caller stops waiting; one that has not is dropped then.
///
/// A panic is logged with this name. The same error is returned when the runtime is shutting down.
pub async fn compute<T: Send + 'static>(
    name: &'static str,
    computation: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let place = PLACES.acquire().await.map_err(|_| Unfinished(name))?;
    let computed = tokio::task::spawn_blocking(move || {
        let result = std::panic::catch_unwind(AssertUnwindSafe(computation));
        drop(place);
        result.map_err(|panic| {
            tracing::error!(task = name, panic = message(panic.as_ref()), "a computation panicked");
            Unfinished(name)
        })
    });
    computed.await.map_err(|_| Unfinished(name))?
}
