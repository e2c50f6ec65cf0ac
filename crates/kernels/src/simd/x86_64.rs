//! AVX2 with FMA, AVX-512, and AVX-512 with bf16.

use std::arch::x86_64::*;

use super::dot::{Dot, dot_tail};
use super::kernel::{Kernel, Tile, Vector, lane_wise};

/// Eight lanes.
#[derive(Clone, Copy)]
pub(super) struct Ymm(__m256);

impl Vector for Ymm {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm256_set1_ps(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm256_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm256_storeu_ps(to, self.0);
    }
    lane_wise!(
        add = _mm256_add_ps,
        sub = _mm256_sub_ps,
        mul = _mm256_mul_ps,
        div = _mm256_div_ps,
        min = _mm256_min_ps,
        max = _mm256_max_ps
    );
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(_mm256_fmadd_ps(self.0, factor.0, addend.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    #[inline(always)]
    unsafe fn exp2_of_integer(self) -> Self {
        let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
        Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let four = _mm_max_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
    }
}

/// AVX2 with FMA.
pub(super) struct Avx2;

impl Kernel for Avx2 {
    type Vector = Ymm;
    type Element = f32;
    type Operand = Ymm;
    // 12 sums, 2 weights, 1 input: 15 of 16 registers.
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn weights(from: *const f32) -> Ymm {
        Ymm::load(from)
    }
    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Ymm {
        Ymm(_mm256_broadcast_ss(&*from))
    }
    #[inline(always)]
    unsafe fn multiply_add(input: Ymm, weights: Ymm, sum: Ymm) -> Ymm {
        input.mul_add(weights, sum)
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        _mm_prefetch::<_MM_HINT_T1>(from.cast());
    }
    #[inline(always)]
    unsafe fn tile(rows: usize, job: &Tile<f32>) {
        avx2::tile(rows, job);
    }
}

impl Dot for Avx2 {
    #[inline(always)]
    unsafe fn dot(a: *const i8, b: *const i8, len: usize) -> i32 {
        let mut sums = [_mm256_setzero_si256(); 2];
        let whole = len - len % 32;
        let mut i = 0;
        while i < whole {
            for (half, sum) in sums.iter_mut().enumerate() {
                let left = _mm256_cvtepi8_epi16(_mm_loadu_si128(a.add(i + half * 16).cast()));
                let right = _mm256_cvtepi8_epi16(_mm_loadu_si128(b.add(i + half * 16).cast()));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(left, right));
            }
            i += 32;
        }
        let eight = _mm256_add_epi32(sums[0], sums[1]);
        let four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        let one = _mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two));
        _mm_cvtsi128_si32(one) + dot_tail(a, b, whole, len)
    }
}

super::entry::points!(avx2, Avx2, 2, 12, #[target_feature(enable = "avx2,fma")]);

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512);

impl Vector for Zmm {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm512_set1_ps(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm512_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm512_storeu_ps(to, self.0);
    }
    lane_wise!(
        add = _mm512_add_ps,
        sub = _mm512_sub_ps,
        mul = _mm512_mul_ps,
        div = _mm512_div_ps,
        min = _mm512_min_ps,
        max = _mm512_max_ps
    );
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, factor.0, addend.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    #[inline(always)]
    unsafe fn exp2_of_integer(self) -> Self {
        let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
        Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        _mm512_reduce_add_ps(self.0)
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        _mm512_reduce_max_ps(self.0)
    }
}

/// AVX-512 F and BW.
pub(super) struct Avx512;

impl Kernel for Avx512 {
    type Vector = Zmm;
    type Element = f32;
    type Operand = Zmm;
    // 24 sums, 2 weights, 1 input: 27 of 32 registers.
    const TILE_ROWS: usize = 12;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn weights(from: *const f32) -> Zmm {
        Zmm::load(from)
    }
    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Zmm {
        Zmm::splat(*from)
    }
    #[inline(always)]
    unsafe fn multiply_add(input: Zmm, weights: Zmm, sum: Zmm) -> Zmm {
        input.mul_add(weights, sum)
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        _mm_prefetch::<_MM_HINT_T1>(from.cast());
    }
    #[inline(always)]
    unsafe fn tile(rows: usize, job: &Tile<f32>) {
        avx512::tile(rows, job);
    }
}

impl Dot for Avx512 {
    #[inline(always)]
    unsafe fn dot(a: *const i8, b: *const i8, len: usize) -> i32 {
        let mut sums = [_mm512_setzero_si512(); 2];
        let whole = len - len % 64;
        let mut i = 0;
        while i < whole {
            for (half, sum) in sums.iter_mut().enumerate() {
                let left = _mm512_cvtepi8_epi16(_mm256_loadu_si256(a.add(i + half * 32).cast()));
                let right = _mm512_cvtepi8_epi16(_mm256_loadu_si256(b.add(i + half * 32).cast()));
                *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(left, right));
            }
            i += 64;
        }
        _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1])) + dot_tail(a, b, whole, len)
    }
}

super::entry::points!(avx512, Avx512, 2, 24, #[target_feature(enable = "avx512f,avx512bw,avx2,fma")]);

/// AVX-512 with `vdpbf16ps`: two products of bf16 per lane, summed in `f32`.
pub(super) struct Avx512Bf16;

/// Sixteen pairs of bf16.
#[derive(Clone, Copy)]
pub(super) struct Pairs(__m512i);

impl Pairs {
    #[inline(always)]
    unsafe fn bf16(self) -> __m512bh {
        // Safety: both are 64 bytes without invalid values; there is no intrinsic for this cast.
        std::mem::transmute::<__m512i, __m512bh>(self.0)
    }
}

impl Kernel for Avx512Bf16 {
    type Vector = Zmm;
    type Element = u32;
    type Operand = Pairs;
    const TILE_ROWS: usize = 12;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn weights(from: *const u32) -> Pairs {
        Pairs(_mm512_loadu_si512(from.cast()))
    }
    #[inline(always)]
    unsafe fn broadcast(from: *const u32) -> Pairs {
        Pairs(_mm512_set1_epi32((*from).cast_signed()))
    }
    #[inline(always)]
    unsafe fn multiply_add(input: Pairs, weights: Pairs, sum: Zmm) -> Zmm {
        Zmm(_mm512_dpbf16_ps(sum.0, input.bf16(), weights.bf16()))
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u32) {
        _mm_prefetch::<_MM_HINT_T1>(from.cast());
    }
    #[inline(always)]
    unsafe fn tile(rows: usize, job: &Tile<u32>) {
        avx512_bf16::tile(rows, job);
    }
}

super::entry::product_points!(
    avx512_bf16,
    Avx512Bf16,
    2,
    24,
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma")]
);
