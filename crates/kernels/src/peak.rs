//! Measures the machine's peak, to compare kernels with it.

use std::time::Instant;

use crate::Kernels;

/// Floating-point operations per second of one thread in the precision that `kernels` uses for matrix
/// products: a loop of multiply-adds in registers, best of `runs` runs of about 20 ms.
pub fn flops_per_second(kernels: Kernels, runs: usize) -> f64 {
    let mut steps = 1 << 16;
    let mut best = 0.0_f64;
    for _ in 0..=runs.max(1) {
        let start = Instant::now();
        let operations = kernels.multiply_adds(std::hint::black_box(steps));
        let seconds = start.elapsed().as_secs_f64().max(1e-9);
        best = best.max(operations / seconds);
        // The first run shows how many steps the next ones need.
        steps = ((steps as f64 * 0.02 / seconds) as usize).clamp(1 << 12, 1 << 30);
    }
    best
}

/// The sum of [`flops_per_second`] over `threads` threads at once.
pub fn flops_per_second_of_threads(kernels: Kernels, runs: usize, threads: usize) -> f64 {
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(move || flops_per_second(kernels, runs))).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).sum()
    })
}
