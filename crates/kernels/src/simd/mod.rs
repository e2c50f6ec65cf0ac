//! The one place with `unsafe` code.
//!
//! Two invariants make it sound. First, an instruction set is used only where the CPU has it: the only way in is
//! [`Kernels`], and [`Kernels::new`] asks the CPU. Second, pointers stay within their slices: each method of
//! `Kernels` compares the lengths of the slices with the shape before it turns them into pointers, and panics
//! when they do not match. Everything below relies on these two invariants; the shapes are documented at the
//! job structs in `kernel`.
#![expect(unsafe_code, reason = "intrinsics need it; all other modules and crates do without")]
#![expect(clippy::inline_always, reason = "only what is inlined in an entry point may use its instructions")]

mod entry;

#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
mod attention;
mod bf16;
#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
mod dot;
mod kernel;
#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
mod math;
#[cfg(target_arch = "aarch64")]
#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "names of intrinsics are unmistakable"))]
mod neon;
#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
mod norm;
#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
mod peak;
#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
mod portable;
#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
mod product;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_op_in_unsafe_fn, reason = "all of the function is the operation")]
#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "names of intrinsics are unmistakable"))]
mod x86_64;

use kernel::{Attention, Kernel, LayerNorm, Product};

use crate::isa::{Isa, UnavailableIsa};

/// Longest 8-bit vector for which a sum of products always fits in 32 bits.
pub const MAX_LEN: usize = 1 << 16;

/// The kernels of one instruction set. A value proves that this machine has it.
#[derive(Clone, Copy, Debug)]
pub struct Kernels(Isa);

/// Runs `$call` in the entry points of the instruction set; bf16 sets use their `f32` entry points.
///
/// Safety: [`Kernels`] exist only for what the CPU has; the caller has checked the shapes.
macro_rules! in_f32 {
    ($isa:expr, $name:ident($($argument:expr),*)) => {
        match $isa {
            Isa::Portable | Isa::PortableBf16 => unsafe { portable::entry::$name($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86_64::avx2::$name($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Bf16 => unsafe { x86_64::avx512::$name($($argument),*) },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon::entry::$name($($argument),*) },
            _ => unreachable!("Kernels exist only for available instruction sets"),
        }
    };
}

/// Runs `$call` in the entry points of a bf16 instruction set.
macro_rules! in_bf16 {
    ($isa:expr, $name:ident($($argument:expr),*)) => {
        match $isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => unsafe { x86_64::avx512_bf16::$name($($argument),*) },
            _ => unsafe { portable::entry_bf16::$name($($argument),*) },
        }
    };
}

/// `$kernel` stands for the kernel of the instruction set in `$value`.
macro_rules! with_kernel {
    ($isa:expr, $kernel:ident => $value:expr) => {
        match $isa {
            Isa::Portable => {
                type $kernel = portable::Portable;
                $value
            }
            Isa::PortableBf16 => {
                type $kernel = portable::PortableBf16;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                type $kernel = x86_64::Avx2;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                type $kernel = x86_64::Avx512;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => {
                type $kernel = x86_64::Avx512Bf16;
                $value
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => {
                type $kernel = neon::Neon;
                $value
            }
            _ => unreachable!("Kernels exist only for available instruction sets"),
        }
    };
}

/// Rows, widths and modes of a product; see [`Kernels::product_f32`].
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Rows of input and output.
    pub rows: usize,
    /// Width of the input in values.
    pub depth: usize,
    /// Width of the output.
    pub columns: usize,
    /// Whether to add to the output.
    pub accumulate: bool,
    /// Whether to apply GELU.
    pub gelu: bool,
}

impl Kernels {
    /// The fastest kernels of this machine.
    pub fn detect() -> Self {
        Self(Isa::detect())
    }

    /// The kernels of `isa`.
    ///
    /// # Errors
    ///
    /// If this machine lacks the instruction set.
    pub fn new(isa: Isa) -> Result<Self, UnavailableIsa> {
        if isa.is_available() { Ok(Self(isa)) } else { Err(UnavailableIsa(isa)) }
    }

    /// The instruction set.
    pub fn isa(self) -> Isa {
        self.0
    }

    /// Columns of a panel of weights.
    pub(crate) fn panel(self) -> usize {
        with_kernel!(self.0, K => K::PANEL)
    }

    /// The rounding of bf16, for packing.
    pub(crate) fn bf16(value: f32) -> u32 {
        bf16::round(value)
    }

    /// Rounds rows of `depth` values to rows of pairs.
    pub(crate) fn pack_bf16_rows(self, values: &[f32], depth: usize, pairs: &mut [u32]) {
        in_bf16!(self.0, pack_rows(values, depth, pairs));
    }

    /// `out = input * panels + bias`; `panels` are `[panel][depth][PANEL]`.
    pub(crate) fn product_f32(
        self,
        shape: Shape,
        input: &[f32],
        panels: &[f32],
        bias: &[f32],
        out: &mut [f32],
    ) {
        assert!(!self.0.is_bf16(), "f32 weights for a bf16 kernel");
        let job = self.product_job(shape, shape.depth, input, panels, bias, out);
        in_f32!(self.0, product(&job));
    }

    /// The same with pairs of bf16; `panels` are `[panel][depth / 2][PANEL]` pairs.
    pub(crate) fn product_bf16(
        self,
        shape: Shape,
        input: &[u32],
        panels: &[u32],
        bias: &[f32],
        out: &mut [f32],
    ) {
        assert!(self.0.is_bf16(), "bf16 weights for an f32 kernel");
        let job = self.product_job(shape, shape.depth.div_ceil(2), input, panels, bias, out);
        in_bf16!(self.0, product(&job));
    }

    fn product_job<Element>(
        self,
        shape: Shape,
        depth: usize,
        input: &[Element],
        panels: &[Element],
        bias: &[f32],
        out: &mut [f32],
    ) -> Product<Element> {
        let padded = shape.columns.next_multiple_of(self.panel());
        assert!(input.len() >= area(shape.rows, depth), "input is shorter than rows * depth");
        assert!(out.len() >= area(shape.rows, shape.columns), "output is shorter than rows * columns");
        assert!(panels.len() >= area(padded, depth), "weights are shorter than columns * depth");
        assert!(bias.len() >= padded, "bias is shorter than the padded columns");
        Product {
            input: input.as_ptr(),
            input_stride: depth,
            rows: shape.rows,
            depth,
            panels: panels.as_ptr(),
            bias: bias.as_ptr(),
            columns: shape.columns,
            out: out.as_mut_ptr(),
            out_stride: shape.columns,
            accumulate: shape.accumulate,
            gelu: shape.gelu,
        }
    }

    /// Attention of every token of one sequence to every other.
    ///
    /// `qkv` is `[tokens][3 * heads * head_dim]`: queries, already divided by the square root of
    /// `head_dim`, then keys, then values. `out` is `[tokens][heads * head_dim]`. `scratch` grows as needed;
    /// reuse it.
    ///
    /// # Panics
    ///
    /// If a slice is shorter than its shape.
    pub fn attention(
        self,
        qkv: &[f32],
        tokens: usize,
        heads: usize,
        head_dim: usize,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        let width = area(heads, head_dim);
        assert!(
            qkv.len() >= area(tokens, area(3, width)),
            "qkv is shorter than tokens * 3 * heads * head_dim"
        );
        assert!(out.len() >= area(tokens, width), "output is shorter than tokens * heads * head_dim");
        // Attention runs in f32, whose panel is as wide as that of the bf16 kernels.
        let needed = with_kernel!(self.0, K => kernel::attention_scratch::<K>(tokens, head_dim));
        if scratch.len() < needed {
            scratch.resize(needed, 0.0);
        }
        let job = Attention {
            qkv: qkv.as_ptr(),
            tokens,
            heads,
            head_dim,
            out: out.as_mut_ptr(),
            scratch: scratch.as_mut_ptr(),
        };
        in_f32!(self.0, attention(&job));
    }

    /// Normalizes each row of `x + residuals`, in place: mean 0, variance 1, times `gamma`, plus `beta`.
    ///
    /// `x` and each residual are `[rows][width]`, `gamma` and `beta` have `width` values, a multiple of 16.
    ///
    /// # Panics
    ///
    /// If the lengths do not match or the width is not a multiple of 16.
    pub fn layer_norm(self, x: &mut [f32], residuals: &[&[f32]], gamma: &[f32], beta: &[f32], epsilon: f32) {
        let width = gamma.len();
        assert!(width > 0 && width.is_multiple_of(16), "width {width} is not a multiple of 16");
        assert!(beta.len() == width, "gamma and beta differ in length");
        assert!(x.len().is_multiple_of(width), "x is not made of whole rows");
        assert!(residuals.iter().all(|r| r.len() >= x.len()), "a residual is shorter than x");
        let job = LayerNorm {
            rows: x.len() / width,
            x: x.as_mut_ptr(),
            width,
            residuals,
            gamma: gamma.as_ptr(),
            beta: beta.as_ptr(),
            epsilon,
        };
        in_f32!(self.0, layer_norm(&job));
    }

    /// GELU in its exact form, `x / 2 * (1 + erf(x / sqrt 2))`, in place.
    pub fn gelu(self, x: &mut [f32]) {
        in_f32!(self.0, gelu(x));
    }

    /// See [`crate::scan::dot_i8`].
    ///
    /// # Panics
    ///
    /// As [`crate::scan::dot_i8`].
    pub fn dot_i8(self, query: &[i8], rows: &[i8], out: &mut [i32]) {
        check_query(query);
        assert!(rows.len() >= area(query.len(), out.len()), "fewer rows than results");
        in_f32!(self.0, dot_rows(query, rows, out));
    }

    /// See [`crate::scan::dot_i8_at`].
    ///
    /// # Panics
    ///
    /// As [`crate::scan::dot_i8_at`].
    pub fn dot_i8_at(self, query: &[i8], rows: &[i8], indices: &[u32], out: &mut [i32]) {
        check_query(query);
        assert!(indices.len() == out.len(), "indices and results differ in length");
        let last = indices.iter().max().map_or(0, |&index| index as usize + 1);
        assert!(rows.len() >= area(query.len(), last), "an index is beyond the rows");
        in_f32!(self.0, dot_rows_at(query, rows, indices, out));
    }

    /// Runs the peak loop of the precision in use; returns the number of floating-point operations.
    pub(crate) fn multiply_adds(self, steps: usize) -> f64 {
        // Sums of ones stop growing at 2^24: finite and normal however long it runs.
        let value = 1.0;
        let sums = with_kernel!(self.0, K => K::TILE_VECTORS * K::TILE_ROWS) as f64;
        let pair = Self::bf16(value) * 0x1_0001;
        let result = if self.0.is_bf16() {
            in_bf16!(self.0, multiply_adds(steps, &[pair; 16]))
        } else {
            in_f32!(self.0, multiply_adds(steps, &[value; 16]))
        };
        std::hint::black_box(result);
        let lanes = with_kernel!(self.0, K => <K as Kernel>::PANEL / K::TILE_VECTORS) as f64;
        let per_lane = if self.0.is_bf16() { 4.0 } else { 2.0 };
        steps as f64 * sums * lanes * per_lane
    }
}

fn check_query(query: &[i8]) {
    assert!(query.len() <= MAX_LEN, "a query of {} values may overflow", query.len());
}

/// Product of two sizes. Saturates, so that a shape that overflows never matches a slice.
fn area(a: usize, b: usize) -> usize {
    a.saturating_mul(b)
}
