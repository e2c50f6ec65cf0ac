//! The allocator, and the only setting of it. docs/benchmarks.md compares it with others.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of `mi_option_e` in mimalloc 3's `mimalloc.h`, in milliseconds. The bindings do not name it.
const PURGE_DELAY: mi_option_t = 15;

/// Long enough that what a request frees and takes again stays, and short beside any load.
const DELAY_MILLIS: c_long = 1;

/// Makes the allocator give freed memory back to the system soon. By default it waits for a second and then for the next
/// allocations, so a process at rest would keep what a load took.
pub(crate) fn free_soon() {
    // SAFETY: it writes a number to its place in a static table, whose bounds it checks. No other thread runs yet that could
    // read it meanwhile.
    #[expect(unsafe_code, reason = "the bindings have no safe function for it")]
    unsafe {
        mi_option_set(PURGE_DELAY, DELAY_MILLIS);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn resident_bytes() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    #[test]
    fn freed_memory_goes_back_to_the_system() {
        const PIECE: usize = 50_000;
        const PIECES: usize = 4_000;
        const PATIENCE: Duration = Duration::from_mins(1);
        free_soon();
        let held: Vec<Vec<u8>> = (0..PIECES).map(|_| vec![1; PIECE]).collect();
        let before = resident_bytes();
        drop(held);
        let began = Instant::now();
        while before.saturating_sub(resident_bytes()) < PIECE * PIECES * 3 / 4 {
            assert!(began.elapsed() < PATIENCE, "{} bytes were resident, {} are", before, resident_bytes());
            // It works when something is allocated.
            std::hint::black_box(vec![1; PIECE]);
        }
    }
}
