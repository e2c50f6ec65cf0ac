//! Layer norm.

use super::kernel::{LayerNorm, Vector};

/// `x = (x + residuals - mean) / sqrt(variance + epsilon) * gamma + beta`, row by row. The variance uses
/// the differences from the mean, which stays exact where the one-pass formula cancels.
#[inline(always)]
pub(super) unsafe fn layer_norm<V: Vector>(job: &LayerNorm<'_>) {
    for r in 0..job.rows {
        let row = job.x.add(r * job.width);
        let mut sum = V::splat(0.0);
        let mut i = 0;
        while i < job.width {
            let mut value = V::load(row.add(i));
            for residual in job.residuals {
                value = value.add(V::load(residual.as_ptr().add(r * job.width + i)));
            }
            value.store(row.add(i));
            sum = sum.add(value);
            i += V::LANES;
        }
        normalize::<V>(job, row, sum.sum());
    }
}

#[inline(always)]
unsafe fn normalize<V: Vector>(job: &LayerNorm<'_>, row: *mut f32, sum: f32) {
    #[expect(clippy::cast_precision_loss, reason = "widths are below 2^24")]
    let width = job.width as f32;
    let mean = V::splat(sum / width);
    let mut squares = V::splat(0.0);
    let mut i = 0;
    while i < job.width {
        let difference = V::load(row.add(i)).sub(mean);
        squares = difference.mul_add(difference, squares);
        i += V::LANES;
    }
    let scale = V::splat(1.0 / (squares.sum() / width + job.epsilon).sqrt());
    i = 0;
    while i < job.width {
        let difference = V::load(row.add(i)).sub(mean).mul(scale);
        let gamma = V::load(job.gamma.add(i));
        difference.mul_add(gamma, V::load(job.beta.add(i))).store(row.add(i));
        i += V::LANES;
    }
}
