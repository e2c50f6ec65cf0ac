//! Loops that only multiply and add in registers.

use super::kernel::{Kernel, Vector};

/// `steps` times `SUMS` independent multiply-adds; there are enough sums to hide the latency. Returns a
/// value that depends on all of them.
#[inline(always)]
pub(super) unsafe fn multiply_adds<K: Kernel, const SUMS: usize>(
    steps: usize,
    operand: &[K::Element],
) -> f32 {
    let x = K::weights(operand.as_ptr());
    let mut sums = [K::Vector::splat(0.0); SUMS];
    for (i, sum) in sums.iter_mut().enumerate() {
        // Different values keep the compiler from merging the sums.
        *sum = K::Vector::splat(i as f32);
    }
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = K::multiply_add(x, x, *sum);
        }
    }
    let mut total = 0.0;
    for sum in &sums {
        total += sum.sum();
    }
    total
}
