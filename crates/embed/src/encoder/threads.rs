use rayon::ThreadPool;

use crate::Error;

/// Threads that compute a text or a batch together. `None` with one: the caller's thread then does the work.
#[derive(Debug)]
pub(crate) struct Threads(Option<ThreadPool>);

impl Threads {
    /// Starts this many threads, each of which begins with `begin`.
    pub(crate) fn start(count: usize, name: &'static str, begin: fn()) -> Result<Self, Error> {
        let builder = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(move |i| format!("{name}-{i}"))
            .start_handler(move |_| begin());
        let pool = (count > 1).then(|| builder.build()).transpose();
        pool.map(Self).map_err(|error| Error::Threads(error.to_string()))
    }

    /// Runs `work` on one of the threads, where the others help with it.
    pub(crate) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// Whether this thread is one of some [`Threads`].
pub(crate) fn is_inside() -> bool {
    rayon::current_thread_index().is_some()
}
