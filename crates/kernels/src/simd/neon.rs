//! NEON, which every 64-bit ARM has.

use std::arch::aarch64::*;

use super::dot::{Dot, dot_tail};
use super::kernel::{Kernel, Tile, Vector, lane_wise};

/// Four lanes.
#[derive(Clone, Copy)]
pub(super) struct Quad(float32x4_t);

impl Vector for Quad {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(vdupq_n_f32(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(vld1q_f32(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        vst1q_f32(to, self.0);
    }
    lane_wise!(
        add = vaddq_f32,
        sub = vsubq_f32,
        mul = vmulq_f32,
        div = vdivq_f32,
        min = vminq_f32,
        max = vmaxq_f32
    );
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(vfmaq_f32(addend.0, self.0, factor.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(vrndnq_f32(self.0))
    }
    #[inline(always)]
    unsafe fn exp2_of_integer(self) -> Self {
        let exponent = vaddq_s32(vcvtnq_s32_f32(self.0), vdupq_n_s32(127));
        Self(vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        vaddvq_f32(self.0)
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        vmaxvq_f32(self.0)
    }
}

/// NEON in `f32`.
pub(super) struct Neon;

impl Kernel for Neon {
    type Vector = Quad;
    type Element = f32;
    type Operand = Quad;
    // 24 sums, 4 weights, 1 input: 29 of 32 registers.
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 4;

    #[inline(always)]
    unsafe fn weights(from: *const f32) -> Quad {
        Quad::load(from)
    }
    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Quad {
        Quad(vld1q_dup_f32(from))
    }
    #[inline(always)]
    unsafe fn multiply_add(input: Quad, weights: Quad, sum: Quad) -> Quad {
        input.mul_add(weights, sum)
    }
    #[inline(always)]
    unsafe fn tile(rows: usize, job: &Tile<f32>) {
        entry::tile(rows, job);
    }
}

impl Dot for Neon {
    #[inline(always)]
    unsafe fn dot(a: *const i8, b: *const i8, len: usize) -> i32 {
        let mut sums = [vdupq_n_s32(0); 2];
        let whole = len - len % 16;
        let mut i = 0;
        while i < whole {
            let (x, y) = (vld1q_s8(a.add(i)), vld1q_s8(b.add(i)));
            sums[0] = vpadalq_s16(sums[0], vmull_s8(vget_low_s8(x), vget_low_s8(y)));
            sums[1] = vpadalq_s16(sums[1], vmull_high_s8(x, y));
            i += 16;
        }
        vaddvq_s32(vaddq_s32(sums[0], sums[1])) + dot_tail(a, b, whole, len)
    }
}

super::entry::points!(entry, Neon, 4, 24, #[target_feature(enable = "neon")]);
