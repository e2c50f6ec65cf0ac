//! Exact products of 8-bit vectors: the first pass of a vector search.

use crate::Kernels;

pub use crate::simd::MAX_LEN;

/// `out[i]` = product of `query` with row `i` of `rows`, which holds `out.len()` rows of `query.len()`
/// values one after another.
///
/// # Panics
///
/// If `rows` is shorter than that, or `query` longer than [`MAX_LEN`].
pub fn dot_i8(query: &[i8], rows: &[i8], out: &mut [i32]) {
    Kernels::detect().dot_i8(query, rows, out);
}

/// `out[i]` = product of `query` with row `indices[i]` of `rows`.
///
/// # Panics
///
/// If an index is beyond `rows`, `indices` and `out` differ in length, or `query` is longer than
/// [`MAX_LEN`].
pub fn dot_i8_at(query: &[i8], rows: &[i8], indices: &[u32], out: &mut [i32]) {
    Kernels::detect().dot_i8_at(query, rows, indices, out);
}

/// Rounds `vector` to `-127..=127` steps of the returned scale (the largest magnitude / 127), so that
/// `out[i] * scale` is nearest to `vector[i]`. A vector of zeros, or with a value that is not finite, gives
/// zeros and scale 0.
///
/// # Panics
///
/// If the lengths differ.
pub fn quantize_i8(vector: &[f32], out: &mut [i8]) -> f32 {
    assert!(vector.len() == out.len(), "{} values into {}", vector.len(), out.len());
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = 1.0 / scale;
    if !inverse.is_finite() || !scale.is_finite() || vector.iter().any(|value| value.is_nan()) {
        out.fill(0);
        return 0.0;
    }
    for (to, value) in out.iter_mut().zip(vector) {
        *to = (value * inverse).round_ties_even() as i8;
    }
    scale
}
