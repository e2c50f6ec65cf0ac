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
pub use simd::Kernels;
