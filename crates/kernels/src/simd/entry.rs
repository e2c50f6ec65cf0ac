//! The entry points of an instruction set.

/// The matrix product, its tile, and the peak loop of `$kernel` (tile of `$vectors` registers, `$sums`
/// sums in the peak loop), with the `#[target_feature]` attribute given last.
macro_rules! product_points {
    ($module:ident, $kernel:ident, $vectors:literal, $sums:literal $(, #[$feature:meta])*) => {
        #[expect(unsafe_op_in_unsafe_fn, reason = "thin wrappers that pass their contract on")]
        pub(super) mod $module {
            use super::$kernel;
            use crate::simd::{bf16, kernel, peak, product};

            type Element = <$kernel as kernel::Kernel>::Element;

            $(#[$feature])*
            pub(in crate::simd) unsafe fn tile(rows: usize, job: &kernel::Tile<Element>) {
                product::tile_of::<$kernel, $vectors>(rows, job);
            }
            $(#[$feature])*
            pub(in crate::simd) unsafe fn product(job: &kernel::Product<Element>) {
                product::product::<$kernel>(job);
            }
            $(#[$feature])*
            pub(in crate::simd) unsafe fn multiply_adds(steps: usize, operand: &[Element]) -> f32 {
                peak::multiply_adds::<$kernel, $sums>(steps, operand)
            }
            $(#[$feature])*
            #[allow(dead_code, clippy::allow_attributes, reason = "only the bf16 kernels pack pairs")]
            pub(in crate::simd) unsafe fn pack_rows(values: &[f32], depth: usize, pairs: &mut [u32]) {
                bf16::pack_rows(values, depth, pairs);
            }
        }
    };
}

/// All entry points of an instruction set: those of [`product_points`], and the kernels that always use `f32`.
macro_rules! points {
    ($module:ident, $kernel:ident, $vectors:literal, $sums:literal $(, #[$feature:meta])*) => {
        #[expect(unsafe_op_in_unsafe_fn, reason = "thin wrappers that pass their contract on")]
        pub(super) mod $module {
            use super::$kernel;
            use crate::simd::{attention, dot, kernel, math, norm};

            type Vector = <$kernel as kernel::Kernel>::Vector;

            super::super::entry::product_points!(products, $kernel, $vectors, $sums $(, #[$feature])*);
            pub(in crate::simd) use products::{multiply_adds, product, tile};

            $(#[$feature])*
            pub(in crate::simd) unsafe fn attention(job: &kernel::Attention) {
                attention::attention::<$kernel>(job);
            }
            $(#[$feature])*
            pub(in crate::simd) unsafe fn layer_norm(job: &kernel::LayerNorm<'_>) {
                norm::layer_norm::<Vector>(job);
            }
            $(#[$feature])*
            pub(in crate::simd) unsafe fn gelu(x: &mut [f32]) {
                math::gelu_slice::<Vector>(x.as_mut_ptr(), x.len());
            }
            $(#[$feature])*
            pub(in crate::simd) unsafe fn dot_rows(query: &[i8], rows: &[i8], out: &mut [i32]) {
                dot::dot_rows::<$kernel>(query, rows, out);
            }
            $(#[$feature])*
            pub(in crate::simd) unsafe fn dot_rows_at(query: &[i8], rows: &[i8], indices: &[u32], out: &mut [i32]) {
                dot::dot_rows_at::<$kernel>(query, rows, indices, out);
            }
        }
    };
}

pub(super) use {points, product_points};
