//! What an instruction set provides for the generic algorithms of this module tree.
//!
//! The algorithms (tile, product, norm, attention) are written once against these two traits.
//! All trait methods and all generic functions are `#[inline(always)]`, so that they end up inside one of
//! the `#[target_feature]` entry points, where the compiler may use the instructions. Closures and iterator
//! adaptors over vectors are avoided: they compile to separate functions, which lack the feature.

/// A register of `f32` lanes.
///
/// # Safety
///
/// Every method requires that the CPU has the instruction set of the implementing type; the methods with
/// pointers require `LANES` readable or writable values there (no alignment).
pub(super) trait Vector: Copy {
    /// Number of `f32` in one register.
    const LANES: usize;

    /// All lanes equal to `value`.
    unsafe fn splat(value: f32) -> Self;
    /// Reads `LANES` values.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes `LANES` values.
    unsafe fn store(self, to: *mut f32);
    /// Lane-wise sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane-wise difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Lane-wise product.
    unsafe fn mul(self, other: Self) -> Self;
    /// Lane-wise quotient.
    unsafe fn div(self, other: Self) -> Self;
    /// Lane-wise smaller value.
    unsafe fn min(self, other: Self) -> Self;
    /// Lane-wise larger value.
    unsafe fn max(self, other: Self) -> Self;
    /// `self * factor + addend`, fused where the hardware can.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Nearest integer.
    unsafe fn round(self) -> Self;
    /// Two to the power of the lanes, which hold integers in `-126..=127`.
    unsafe fn exp2_of_integer(self) -> Self;
    /// Sum of the lanes.
    unsafe fn sum(self) -> f32;
    /// Largest lane.
    unsafe fn largest(self) -> f32;
}

/// The methods of [`Vector`] that combine two registers by one intrinsic.
macro_rules! lane_wise {
    ($($method:ident = $intrinsic:ident),*) => {$(
        #[inline(always)]
        unsafe fn $method(self, other: Self) -> Self {
            Self($intrinsic(self.0, other.0))
        }
    )*};
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use lane_wise;

/// One instruction set together with the precision of its matrix product.
///
/// # Safety
///
/// As for [`Vector`]; operands are read as `Vector::LANES` elements, `broadcast` reads one.
pub(super) trait Kernel {
    /// The accumulator.
    type Vector: Vector;
    /// How inputs and weights are stored: `f32`, or a pair of bf16 in a `u32`.
    type Element: Copy;
    /// A register of elements.
    type Operand: Copy;
    /// Rows of the register tile.
    const TILE_ROWS: usize;
    /// Columns of the register tile, in registers.
    const TILE_VECTORS: usize;
    /// Columns of the register tile, and so of a panel of weights.
    const PANEL: usize = Self::TILE_VECTORS * Self::Vector::LANES;

    /// One register of weights.
    unsafe fn weights(from: *const Self::Element) -> Self::Operand;
    /// One input in all lanes.
    unsafe fn broadcast(from: *const Self::Element) -> Self::Operand;
    /// `sum + input * weights`.
    unsafe fn multiply_add(input: Self::Operand, weights: Self::Operand, sum: Self::Vector) -> Self::Vector;
    /// Prefetches the cache line of `from` into the second level (the first is full of data in use); may do
    /// nothing. Any address is allowed.
    #[inline(always)]
    unsafe fn prefetch(from: *const Self::Element) {
        let _ = from;
    }
    /// Computes `rows` (1 to `TILE_ROWS`) rows of a tile by a call into the entry point, so that the unrolled
    /// variants exist once per instruction set, not once per caller.
    unsafe fn tile(rows: usize, job: &Tile<Self::Element>);
}

/// One register tile of a product: `out[r][c] = bias[c] + sum over d of input[r][d] * panel[d][c]`.
#[derive(Clone, Copy)]
pub(super) struct Tile<Element> {
    /// First input row; rows are `input_stride` elements apart.
    pub input: *const Element,
    /// Distance of input rows.
    pub input_stride: usize,
    /// Number of elements in a row (inner dimension).
    pub depth: usize,
    /// Weights, `[depth][PANEL]`.
    pub panel: *const Element,
    /// Initial values of the sums, `PANEL` of them.
    pub bias: *const f32,
    /// First output row; rows are `out_stride` values apart, `PANEL` values of each are written.
    pub out: *mut f32,
    /// Distance of output rows.
    pub out_stride: usize,
    /// Whether the product is added to the values in `out`.
    pub accumulate: bool,
    /// Whether GELU is applied to the result while it is in the cache.
    pub gelu: bool,
    /// The data needed next: each step prefetches a line of it and advances.
    pub next: *const Element,
    /// How far each step advances in `next`.
    pub next_step: usize,
}

/// A whole product with packed weights.
pub(super) struct Product<Element> {
    /// First input row.
    pub input: *const Element,
    /// Distance of input rows.
    pub input_stride: usize,
    /// Number of input rows.
    pub rows: usize,
    /// Inner dimension in elements.
    pub depth: usize,
    /// Panels one after another, each `[depth][PANEL]`.
    pub panels: *const Element,
    /// Bias, padded to whole panels.
    pub bias: *const f32,
    /// Number of output columns.
    pub columns: usize,
    /// First output row.
    pub out: *mut f32,
    /// Distance of output rows.
    pub out_stride: usize,
    /// Whether the product is added to the values in `out`.
    pub accumulate: bool,
    /// Whether GELU is applied.
    pub gelu: bool,
}

/// Attention of one sequence.
pub(super) struct Attention {
    /// `[tokens][3 * heads * head_dim]`: queries (already scaled), keys, values.
    pub qkv: *const f32,
    /// Length of the sequence.
    pub tokens: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// `[tokens][heads * head_dim]`.
    pub out: *mut f32,
    /// At least [`attention_scratch`] values.
    pub scratch: *mut f32,
}

/// Number of values that [`Attention::scratch`] must hold.
pub(super) fn attention_scratch<K: Kernel>(tokens: usize, head_dim: usize) -> usize {
    let keys = tokens.next_multiple_of(K::PANEL);
    let values = head_dim.next_multiple_of(K::PANEL);
    keys * head_dim + values * tokens + K::TILE_ROWS * keys + keys.max(values)
}

/// Layer norm of `x + residuals`.
pub(super) struct LayerNorm<'a> {
    /// `[rows][width]`, in and out.
    pub x: *mut f32,
    /// Number of rows.
    pub rows: usize,
    /// Values in a row, a multiple of 16.
    pub width: usize,
    /// Added to `x` first; each `[rows][width]`.
    pub residuals: &'a [&'a [f32]],
    /// Scale, `width` values.
    pub gamma: *const f32,
    /// Shift, `width` values.
    pub beta: *const f32,
    /// Added to the variance.
    pub epsilon: f32,
}
