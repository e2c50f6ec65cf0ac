//! Products of 8-bit integers, exact in 32 bits.

/// Registers for dot products of `i8`.
///
/// # Safety
///
/// The CPU must have the instruction set; `dot` reads `len` values from both addresses.
pub(super) trait Dot {
    /// Sum of `a[i] * b[i]`. Exact for `len` up to [`crate::scan::MAX_LEN`].
    unsafe fn dot(a: *const i8, b: *const i8, len: usize) -> i32;
}

/// The products of `query` with each row of `rows`.
#[inline(always)]
pub(super) unsafe fn dot_rows<D: Dot>(query: &[i8], rows: &[i8], out: &mut [i32]) {
    let len = query.len();
    for (i, value) in out.iter_mut().enumerate() {
        *value = D::dot(query.as_ptr(), rows.as_ptr().add(i * len), len);
    }
}

/// The products of `query` with the rows at `indices`.
#[inline(always)]
pub(super) unsafe fn dot_rows_at<D: Dot>(query: &[i8], rows: &[i8], indices: &[u32], out: &mut [i32]) {
    let len = query.len();
    for (value, &index) in out.iter_mut().zip(indices) {
        *value = D::dot(query.as_ptr(), rows.as_ptr().add(index as usize * len), len);
    }
}

/// The remainder after the whole registers.
#[inline(always)]
pub(super) unsafe fn dot_tail(a: *const i8, b: *const i8, from: usize, len: usize) -> i32 {
    let mut sum = 0;
    for i in from..len {
        sum += i32::from(*a.add(i)) * i32::from(*b.add(i));
    }
    sum
}
