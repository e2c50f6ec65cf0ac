//! A linear layer with its weights packed for the instruction set.

use crate::Kernels;
use crate::simd::Shape;

/// Scratch space for [`PackedLinear::forward`]. Keep one per thread and reuse it.
#[derive(Debug, Default)]
pub struct LinearScratch {
    /// Input rounded to pairs of bf16.
    pairs: Vec<u32>,
}

/// What [`PackedLinear::forward`] does with the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The output becomes the product.
    Replace,
    /// The product is added to the output.
    Add,
    /// The output becomes GELU (the exact one, with erf) of the product.
    Gelu,
}

/// `y = x * W^T + b`, with `W` laid out once in the order in which the kernel reads it.
///
/// Weights are cut into panels of as many outputs as the register tile has columns. Within a panel, the
/// weights of one input are adjacent: `[panel][input][output in panel]`. The last panel is padded with
/// zeros. bf16 kernels store pairs of neighboring inputs.
#[derive(Debug)]
pub struct PackedLinear {
    kernels: Kernels,
    inputs: usize,
    outputs: usize,
    panels: Panels,
    bias: Vec<f32>,
}

#[derive(Debug)]
enum Panels {
    F32(Vec<f32>),
    Bf16(Vec<u32>),
}

impl PackedLinear {
    /// Packs `weights`, `[outputs][inputs]`, and `bias`, `[outputs]`, for `kernels`.
    ///
    /// # Panics
    ///
    /// If the lengths do not match or `inputs` or `outputs` is zero.
    pub fn new(kernels: Kernels, weights: &[f32], bias: &[f32], outputs: usize, inputs: usize) -> Self {
        assert!(outputs > 0 && inputs > 0, "a layer of {outputs} x {inputs} has no weights");
        assert!(weights.len() == outputs * inputs, "{} weights for {outputs} x {inputs}", weights.len());
        assert!(bias.len() == outputs, "{} biases for {outputs} outputs", bias.len());
        let panel = kernels.panel();
        let panels = if kernels.isa().is_bf16() {
            Panels::Bf16(pack_bf16(weights, outputs, inputs, panel))
        } else {
            Panels::F32(pack_f32(weights, outputs, inputs, panel))
        };
        let mut padded_bias = bias.to_vec();
        padded_bias.resize(outputs.next_multiple_of(panel), 0.0);
        Self { kernels, inputs, outputs, panels, bias: padded_bias }
    }

    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Computes `rows` rows: `x` is `[rows][inputs]`, `out` is `[rows][outputs]`.
    ///
    /// # Panics
    ///
    /// If a slice is shorter than its shape.
    pub fn forward(
        &self,
        x: &[f32],
        rows: usize,
        out: &mut [f32],
        store: Store,
        scratch: &mut LinearScratch,
    ) {
        let shape = Shape {
            rows,
            depth: self.inputs,
            columns: self.outputs,
            accumulate: store == Store::Add,
            gelu: store == Store::Gelu,
        };
        match &self.panels {
            Panels::F32(panels) => self.kernels.product_f32(shape, x, panels, &self.bias, out),
            Panels::Bf16(panels) => {
                assert!(x.len() >= rows * self.inputs, "input is shorter than rows * inputs");
                let pairs = rows * self.inputs.div_ceil(2);
                if scratch.pairs.len() < pairs {
                    scratch.pairs.resize(pairs, 0);
                }
                let pairs = &mut scratch.pairs[..pairs];
                self.kernels.pack_bf16_rows(&x[..rows * self.inputs], self.inputs, pairs);
                self.kernels.product_bf16(shape, pairs, panels, &self.bias, out);
            }
        }
    }
}

fn pack_f32(weights: &[f32], outputs: usize, inputs: usize, panel: usize) -> Vec<f32> {
    let mut packed = vec![0.0; outputs.next_multiple_of(panel) * inputs];
    for (rows, packed) in weights.chunks(panel * inputs).zip(packed.chunks_exact_mut(panel * inputs)) {
        // A few inputs at a time, so that cache lines stay in the cache until they are fully written.
        for first in (0..inputs).step_by(PACK_BLOCK) {
            let block = PACK_BLOCK.min(inputs - first);
            for (column, row) in rows.chunks_exact(inputs).enumerate() {
                let to = &mut packed[first * panel..(first + block) * panel];
                for (to, weight) in to[column..].iter_mut().step_by(panel).zip(&row[first..first + block]) {
                    *to = *weight;
                }
            }
        }
    }
    packed
}

/// Inputs packed at a time: one cache line of each row.
const PACK_BLOCK: usize = 16;

fn pack_bf16(weights: &[f32], outputs: usize, inputs: usize, panel: usize) -> Vec<u32> {
    let pairs = inputs.div_ceil(2);
    let mut packed = vec![0; outputs.next_multiple_of(panel) * pairs];
    for (rows, packed) in weights.chunks(panel * inputs).zip(packed.chunks_exact_mut(panel * pairs)) {
        for (column, row) in rows.chunks_exact(inputs).enumerate() {
            for (to, two) in packed[column..].iter_mut().step_by(panel).zip(row.chunks(2)) {
                let odd = two.get(1).map_or(0, |&w| Kernels::bf16(w));
                *to = Kernels::bf16(two[0]) | (odd << 16);
            }
        }
    }
    packed
}
