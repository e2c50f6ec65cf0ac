use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Error;

/// The account of the memory that requests and their answers take, all together.
#[derive(Debug)]
pub struct InFlight {
    limit: usize,
    taken: AtomicUsize,
}

/// What one request has taken of the account. It is given back when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<InFlight>,
    taken: AtomicUsize,
}

impl InFlight {
    /// An account of this many bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: AtomicUsize::new(0) })
    }

    /// A reservation that has taken nothing yet.
    pub fn reservation(self: &Arc<Self>) -> Reservation {
        Reservation { account: Arc::clone(self), taken: AtomicUsize::new(0) }
    }
}

impl Reservation {
    /// Reserves `bytes` more. Fails with [`Error::Busy`], and reserves nothing, when fewer are free.
    pub fn take(&self, bytes: usize) -> Result<(), Error> {
        let account = &self.account;
        let fitting = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= account.limit);
        // A count that orders nothing else.
        account.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fitting).map_err(|_| Error::Busy)?;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.taken.fetch_sub(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_above_the_limit_are_refused_until_others_end() {
        let account = InFlight::new(10);
        let (one, two) = (account.reservation(), account.reservation());
        one.take(6).unwrap();
        assert!(matches!(two.take(5), Err(Error::Busy)));
        two.take(4).unwrap();
        assert!(matches!(one.take(1), Err(Error::Busy)) && matches!(one.take(usize::MAX), Err(Error::Busy)));
        drop(two);
        one.take(4).unwrap();
    }
}
