//! Computations whose time grows with their input.

use memcloud_domain::Error;

/// Computes on a thread that serves no requests where the input is large, and in place where it is small.
pub(crate) async fn compute<T: Send + 'static>(
    is_large: bool,
    doing: &'static str,
    computation: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if !is_large {
        return Ok(computation());
    }
    let computed = memcloud_tasks::compute(doing, computation).await;
    computed.map_err(|unfinished| Error::Storage { doing, source: unfinished.into() })
}
