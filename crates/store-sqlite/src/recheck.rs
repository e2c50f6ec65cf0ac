//! Rows that were repaired while the store is open.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use memcloud_domain::Error;
use memcloud_ports::Damage;

use crate::readers::Readers;
use crate::salvage;

/// The least time from one look to the next.
const PAUSE: Duration = Duration::from_secs(5);

/// Looks at damaged rows again, as often as that costs little.
#[derive(Default)]
pub(crate) struct Recheck {
    last: Mutex<Option<Instant>>,
}

impl Recheck {
    /// Reads the rows that could not be read, and forgets those that can be read now. Whatever else is damaged stays so until
    /// the store is opened again: connections keep pages in memory.
    pub(crate) async fn run(&self, readers: &Readers, damage: &Arc<Damage<i64>>) -> Result<(), Error> {
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| last.elapsed() < PAUSE) {
                return Ok(());
            }
            *last = Some(Instant::now());
        }
        let damage = Arc::clone(damage);
        readers.read("reading damaged rows again", move |c| salvage::recheck(c, &damage)).await
    }
}
