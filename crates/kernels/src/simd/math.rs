//! Exponential, GELU, softmax, over vectors.

use super::kernel::Vector;

/// `e^x` for `x` in `-87..=88` (clamped), relative error about 1e-7.
///
/// Cephes `expf` (S. Moshier, netlib): reduction by multiples of ln 2 in two parts, then a polynomial of
/// degree 7.
#[inline(always)]
pub(super) unsafe fn exp<V: Vector>(x: V) -> V {
    let x = x.max(V::splat(-87.0)).min(V::splat(88.0));
    let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
    let r = n.mul_add(V::splat(-0.693_359_4), x);
    let r = n.mul_add(V::splat(2.121_944_4e-4), r);
    let mut p = V::splat(1.987_569_1e-4);
    p = p.mul_add(r, V::splat(1.398_2e-3));
    p = p.mul_add(r, V::splat(8.333_452e-3));
    p = p.mul_add(r, V::splat(4.166_579_6e-2));
    p = p.mul_add(r, V::splat(1.666_666_5e-1));
    p = p.mul_add(r, V::splat(0.5));
    let p = p.mul(r).mul_add(r, r).add(V::splat(1.0));
    p.mul(n.exp2_of_integer())
}

/// Where erf is 1 - 2^-24: the largest `f32` below 1.
const ERF_END: f32 = 3.8325;

/// Gaussian error function, absolute error below 4e-7: below 1e-7 by the approximation, the rest by rounding.
///
/// The rational approximation of degree 13 over 8 used by Eigen and XLA: no exponential, one division. It is
/// fitted for `-4..=4`, but beyond [`ERF_END`] its rounding error exceeds the distance to 1.
#[inline(always)]
unsafe fn erf<V: Vector>(x: V) -> V {
    let x = x.max(V::splat(-ERF_END)).min(V::splat(ERF_END));
    let x2 = x.mul(x);
    let mut a = V::splat(-2.726_142_3e-10);
    a = a.mul_add(x2, V::splat(2.770_681_5e-8));
    a = a.mul_add(x2, V::splat(-2.101_024e-6));
    a = a.mul_add(x2, V::splat(-5.692_506_4e-5));
    a = a.mul_add(x2, V::splat(-7.349_906_3e-4));
    a = a.mul_add(x2, V::splat(-2.954_6e-3));
    a = a.mul_add(x2, V::splat(-1.609_603_3e-2));
    let mut b = V::splat(-1.456_607_2e-5);
    b = b.mul_add(x2, V::splat(-2.133_740_5e-4));
    b = b.mul_add(x2, V::splat(-1.682_827e-3));
    b = b.mul_add(x2, V::splat(-7.373_329e-3));
    b = b.mul_add(x2, V::splat(-1.426_473_9e-2));
    a.mul(x).div(b)
}

/// `x / 2 * (1 + erf(x / sqrt 2))`: the exact form of GELU, which BERT models mean by "gelu".
#[inline(always)]
pub(super) unsafe fn gelu<V: Vector>(x: V) -> V {
    let e = erf(x.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2)));
    let half = x.mul(V::splat(0.5));
    half.mul_add(e, half)
}

/// GELU of `len` values in place.
#[inline(always)]
pub(super) unsafe fn gelu_slice<V: Vector>(x: *mut f32, len: usize) {
    let whole = len - len % V::LANES;
    let mut i = 0;
    while i < whole {
        gelu(V::load(x.add(i))).store(x.add(i));
        i += V::LANES;
    }
    if whole < len {
        // The widest register has 16 lanes.
        let mut tail = [0.0_f32; 16];
        std::ptr::copy_nonoverlapping(x.add(whole), tail.as_mut_ptr(), len - whole);
        gelu(V::load(tail.as_ptr())).store(tail.as_mut_ptr());
        std::ptr::copy_nonoverlapping(tail.as_ptr(), x.add(whole), len - whole);
    }
}

/// Softmax over the first `len` of `padded` scores; the padding becomes zero. `padded` is a multiple of
/// the lanes.
#[inline(always)]
pub(super) unsafe fn softmax<V: Vector>(scores: *mut f32, len: usize, padded: usize) {
    let mut i = len;
    while i < padded {
        *scores.add(i) = f32::MIN;
        i += 1;
    }
    let mut largest = V::splat(f32::MIN);
    let mut i = 0;
    while i < padded {
        largest = largest.max(V::load(scores.add(i)));
        i += V::LANES;
    }
    let largest = V::splat(largest.largest());
    let mut sum = V::splat(0.0);
    i = 0;
    while i < padded {
        let e = exp(V::load(scores.add(i)).sub(largest));
        e.store(scores.add(i));
        sum = sum.add(e);
        i += V::LANES;
    }
    // exp clamps at e^-87, so the padding contributes less than f32 can represent next to the 1 of the
    // largest score.
    let scale = V::splat(1.0 / sum.sum());
    i = 0;
    while i < padded {
        V::load(scores.add(i)).mul(scale).store(scores.add(i));
        i += V::LANES;
    }
}
