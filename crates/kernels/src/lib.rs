//! The arithmetic in which `MemCloud` spends its time: matrix product with packed weights, attention, layer
//! norm, GELU, and exact scans over 8-bit vectors.
//!
//! Each algorithm is written once, generic over a register of lanes, and compiled for every instruction
//! set in [`Isa`]; the one to run is chosen at run time. All public functions are safe and check their
//! lengths; the crate has one module tree with `unsafe` code, `simd`, and its first lines say why that is sound.
//!
//! Matrices are row-major slices of `f32`; `[rows][columns]` in the documentation gives their shape.

mod isa;
mod linear;
pub mod peak;
pub mod scan;
mod simd;

pub use isa::{Isa, UnavailableIsa, UnknownIsa};
pub use linear::{LinearScratch, PackedLinear, Store};

/// The kernels of one instruction set that this machine has.
#[derive(Clone, Copy, Debug)]
pub struct Kernels(simd::Simd);

impl Kernels {
    /// The fastest kernels of this machine.
    pub fn detect() -> Self {
        Self::new(Isa::detect()).unwrap_or_else(|unavailable| unreachable!("{unavailable}"))
    }

    /// The kernels of `isa`.
    ///
    /// # Errors
    ///
    /// If this machine lacks the instruction set.
    pub fn new(isa: Isa) -> Result<Self, UnavailableIsa> {
        simd::Simd::new(isa).map(Self)
    }

    /// The instruction set.
    pub fn isa(self) -> Isa {
        self.0.isa()
    }

    pub(crate) fn simd(self) -> simd::Simd {
        self.0
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
        self.0.attention(qkv, tokens, heads, head_dim, out, scratch);
    }

    /// Normalises each row of `x + residuals`, in place: mean 0, variance 1, times `gamma`, plus `beta`.
    ///
    /// `x` and each residual are `[rows][width]`, `gamma` and `beta` have `width` values, a multiple of 16.
    ///
    /// # Panics
    ///
    /// If the lengths do not match or the width is not a multiple of 16.
    pub fn layer_norm(self, x: &mut [f32], residuals: &[&[f32]], gamma: &[f32], beta: &[f32], epsilon: f32) {
        self.0.layer_norm(x, residuals, gamma, beta, epsilon);
    }

    /// GELU in its exact form, `x / 2 * (1 + erf(x / sqrt 2))`, in place.
    pub fn gelu(self, x: &mut [f32]) {
        self.0.gelu(x);
    }

    /// See [`scan::dot_i8`].
    ///
    /// # Panics
    ///
    /// As [`scan::dot_i8`].
    pub fn dot_i8(self, query: &[i8], rows: &[i8], out: &mut [i32]) {
        assert!(query.len() <= scan::MAX_LEN, "a query of {} values may overflow", query.len());
        self.0.dot_rows(query, rows, out);
    }

    /// See [`scan::dot_i8_at`].
    ///
    /// # Panics
    ///
    /// As [`scan::dot_i8_at`].
    pub fn dot_i8_at(self, query: &[i8], rows: &[i8], indices: &[u32], out: &mut [i32]) {
        assert!(query.len() <= scan::MAX_LEN, "a query of {} values may overflow", query.len());
        self.0.dot_rows_at(query, rows, indices, out);
    }
}
