//! Rounding to bf16 and packing in pairs.

/// The upper half of an `f32`, rounded to nearest even; NaN stays NaN.
#[inline(always)]
pub(super) fn round(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if bits & 0x7fff_ffff > 0x7f80_0000 { 0x7fc0 } else { rounded }
}

/// Rows of `depth` values become rows of `depth / 2` pairs, rounded up; the even element is the lower half,
/// an odd end gets a zero.
#[inline(always)]
pub(super) fn pack_rows(values: &[f32], depth: usize, pairs: &mut [u32]) {
    for (row, pairs) in values.chunks_exact(depth).zip(pairs.chunks_exact_mut(depth.div_ceil(2))) {
        let whole = row.chunks_exact(2);
        if let ([last], Some(pair)) = (whole.remainder(), pairs.last_mut()) {
            *pair = round(*last);
        }
        for (pair, two) in pairs.iter_mut().zip(whole) {
            *pair = round(two[0]) | (round(two[1]) << 16);
        }
    }
}
