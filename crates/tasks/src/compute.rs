use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::sync::Semaphore;

use crate::{Unfinished, message};

/// Up to this many bytes of text are read on the thread that serves the request: that takes less time than a switch to
/// another thread and back.
pub const INLINE_BYTES: usize = 4 << 10;

/// The same for work that takes about a nanosecond for each byte, such as copying or scanning a text.
pub const INLINE_SCANNED_BYTES: usize = 64 << 10;

/// The nice value of threads that give way: next to a thread that serves requests they get a quarter of a core, and all of
/// it when no other thread wants it.
const NICE: i32 = 5;

/// How many computations run at once in the process: two for each core, so that a short one seldom waits for long ones.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(2 * available_parallelism().map_or(2, usize::from)));

/// The threads of computations. They are started when needed, and end after some idle seconds.
static THREADS: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().thread_name("compute").on_thread_start(give_way).build());

/// From now on this thread goes on only where threads that serve requests leave a processor. Does nothing outside Linux,
/// where a thread has no priority of its own.
pub fn give_way() {
    if cfg!(target_os = "linux") {
        // A system that refuses this treats all threads alike.
        let _ = rustix::process::nice(NICE);
    }
}

/// Runs a computation on a thread that serves no requests and gives way to those that do. Waits while too many others run.
/// A computation that has begun runs to its end even when its caller stops waiting; one that has not is dropped then.
///
/// A panic is logged with this name. The same error is returned when the runtime is shutting down.
pub async fn compute<T: Send + 'static>(
    name: &'static str,
    computation: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let place = PLACES.acquire().await.map_err(|_| Unfinished(name))?;
    let threads = THREADS.as_ref().map_err(|error| {
        tracing::error!(task = name, %error, "cannot start threads for computations");
        Unfinished(name)
    })?;
    let computed = threads.spawn_blocking(move || {
        let result = std::panic::catch_unwind(AssertUnwindSafe(computation));
        drop(place);
        result.map_err(|panic| {
            tracing::error!(task = name, panic = message(panic.as_ref()), "a computation panicked");
            Unfinished(name)
        })
    });
    computed.await.map_err(|_| Unfinished(name))?
}

/// Computes on this thread. Where that takes long, another thread takes its place and serves requests meanwhile. For what
/// borrows from its caller; everything else is for [`compute`].
pub fn step_aside<T>(is_large: bool, computation: impl FnOnce() -> T) -> T {
    let has_others =
        || Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread);
    if is_large && has_others() { tokio::task::block_in_place(computation) } else { computation() }
}
