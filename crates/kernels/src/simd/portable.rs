//! Plain Rust that every machine runs. The compiler turns the arrays into baseline registers.

use super::dot::Dot;
use super::kernel::{Kernel, Tile, Vector};

/// Four lanes: a register of the oldest x86-64 and of every 64-bit ARM.
#[derive(Clone, Copy)]
pub(super) struct Lanes([f32; 4]);

macro_rules! lane_wise {
    ($($method:ident = |$a:ident, $b:ident| $value:expr),*) => {$(
        #[inline(always)]
        unsafe fn $method(self, other: Self) -> Self {
            let mut out = [0.0_f32; 4];
            for i in 0..4 {
                let ($a, $b) = (self.0[i], other.0[i]);
                out[i] = $value;
            }
            Self(out)
        }
    )*};
}

impl Vector for Lanes {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(from.cast::<[f32; 4]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<[f32; 4]>().write_unaligned(self.0);
    }
    lane_wise!(
        add = |a, b| a + b,
        sub = |a, b| a - b,
        mul = |a, b| a * b,
        div = |a, b| a / b,
        min = |a, b| if b < a { b } else { a },
        max = |a, b| if b > a { b } else { a }
    );
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Rounded once, as the other instruction sets do: rounded twice, the polynomials of `math` miss their errors.
        // In `f64` the product is exact; `f32::mul_add` is a library call without the instruction.
        let mut out = addend.0;
        for (i, out) in out.iter_mut().enumerate() {
            *out = (f64::from(self.0[i]) * f64::from(factor.0[i]) + f64::from(*out)) as f32;
        }
        Self(out)
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // Adding 1.5 * 2^23 pushes the fraction out of the mantissa; exact for the small values used here.
        const SHIFT: f32 = 12_582_912.0;
        let shift = Self::splat(SHIFT);
        self.add(shift).sub(shift)
    }
    #[inline(always)]
    unsafe fn exp2_of_integer(self) -> Self {
        let mut out = [0.0_f32; 4];
        for (out, exponent) in out.iter_mut().zip(self.0) {
            *out = f32::from_bits(((exponent as i32 + 127) as u32) << 23);
        }
        Self(out)
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        (self.0[0] + self.0[1]) + (self.0[2] + self.0[3])
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        self.0[0].max(self.0[1]).max(self.0[2].max(self.0[3]))
    }
}

/// The portable path in `f32`.
pub(super) struct Portable;

impl Kernel for Portable {
    type Vector = Lanes;
    type Element = f32;
    type Operand = Lanes;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn weights(from: *const f32) -> Lanes {
        Lanes::load(from)
    }
    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Lanes {
        Lanes::splat(*from)
    }
    #[inline(always)]
    unsafe fn multiply_add(input: Lanes, weights: Lanes, sum: Lanes) -> Lanes {
        // Sums of many products tolerate the extra rounding, and speed counts here.
        input.mul(weights).add(sum)
    }
    #[inline(always)]
    unsafe fn tile(rows: usize, job: &Tile<f32>) {
        entry::tile(rows, job);
    }
}

/// The bf16 path in plain integers: it emulates the hardware, so that rounding and packing are tested on
/// every machine.
pub(super) struct PortableBf16;

impl Kernel for PortableBf16 {
    type Vector = Lanes;
    type Element = u32;
    type Operand = [u32; 4];
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn weights(from: *const u32) -> [u32; 4] {
        from.cast::<[u32; 4]>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn broadcast(from: *const u32) -> [u32; 4] {
        [*from; 4]
    }
    #[inline(always)]
    unsafe fn multiply_add(input: [u32; 4], weights: [u32; 4], sum: Lanes) -> Lanes {
        let mut out = sum.0;
        for i in 0..4 {
            let odd = f32::from_bits(input[i] & 0xffff_0000) * f32::from_bits(weights[i] & 0xffff_0000);
            let even = f32::from_bits(input[i] << 16) * f32::from_bits(weights[i] << 16);
            out[i] = (out[i] + odd) + even;
        }
        Lanes(out)
    }
    #[inline(always)]
    unsafe fn tile(rows: usize, job: &Tile<u32>) {
        entry_bf16::tile(rows, job);
    }
}

impl Dot for Portable {
    #[inline(always)]
    unsafe fn dot(a: *const i8, b: *const i8, len: usize) -> i32 {
        let a = std::slice::from_raw_parts(a, len);
        let b = std::slice::from_raw_parts(b, len);
        a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    }
}

super::entry::points!(entry, Portable, 2, 8);
super::entry::product_points!(entry_bf16, PortableBf16, 2, 8);
