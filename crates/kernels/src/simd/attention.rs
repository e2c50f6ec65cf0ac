//! Attention of one sequence.

use super::kernel::{Attention, Kernel, Product};
use super::math::softmax;
use super::product::product;

/// Head by head: keys are packed transposed and values in panels, then for a few queries at a time scores,
/// softmax and the weighted sum of values, all with the tile of the matrix product.
#[inline(always)]
pub(super) unsafe fn attention<K: Kernel<Element = f32>>(job: &Attention) {
    let width = job.heads * job.head_dim;
    let stride = 3 * width;
    let padded = job.tokens.next_multiple_of(K::PANEL);
    let padded_dim = job.head_dim.next_multiple_of(K::PANEL);

    let keys = job.scratch;
    let values = keys.add(padded * job.head_dim);
    let scores = values.add(padded_dim * job.tokens);
    let zeros = scores.add(K::TILE_ROWS * padded);
    std::ptr::write_bytes(zeros, 0, padded.max(padded_dim));

    for head in 0..job.heads {
        let query = job.qkv.add(head * job.head_dim);
        pack_keys::<K>(job, query.add(width), keys);
        pack_values::<K>(job, query.add(2 * width), values);
        let mut first = 0;
        while first < job.tokens {
            let rows = (job.tokens - first).min(K::TILE_ROWS);
            product::<K>(&Product {
                input: query.add(first * stride),
                input_stride: stride,
                rows,
                depth: job.head_dim,
                panels: keys,
                bias: zeros,
                columns: padded,
                out: scores,
                out_stride: padded,
                accumulate: false,
                gelu: false,
            });
            for r in 0..rows {
                softmax::<K::Vector>(scores.add(r * padded), job.tokens, padded);
            }
            product::<K>(&Product {
                input: scores,
                input_stride: padded,
                rows,
                depth: job.tokens,
                panels: values,
                bias: zeros,
                columns: job.head_dim,
                out: job.out.add(first * width + head * job.head_dim),
                out_stride: width,
                accumulate: false,
                gelu: false,
            });
            first += rows;
        }
    }
}

/// `[panel][head_dim][PANEL]` with zeros for the tokens beyond the end.
#[inline(always)]
unsafe fn pack_keys<K: Kernel<Element = f32>>(job: &Attention, from: *const f32, to: *mut f32) {
    let stride = 3 * job.heads * job.head_dim;
    for token in 0..job.tokens.next_multiple_of(K::PANEL) {
        let (panel, column) = (token / K::PANEL, token % K::PANEL);
        let to = to.add(panel * K::PANEL * job.head_dim + column);
        for d in 0..job.head_dim {
            *to.add(d * K::PANEL) = if token < job.tokens { *from.add(token * stride + d) } else { 0.0 };
        }
    }
}

/// `[panel][tokens][PANEL]` with zeros beyond the width of the head.
#[inline(always)]
unsafe fn pack_values<K: Kernel<Element = f32>>(job: &Attention, from: *const f32, to: *mut f32) {
    let stride = 3 * job.heads * job.head_dim;
    let panels = job.head_dim.div_ceil(K::PANEL);
    for panel in 0..panels {
        let first = panel * K::PANEL;
        let columns = (job.head_dim - first).min(K::PANEL);
        for token in 0..job.tokens {
            let to = to.add((panel * job.tokens + token) * K::PANEL);
            std::ptr::copy_nonoverlapping(from.add(token * stride + first), to, columns);
            std::ptr::write_bytes(to.add(columns), 0, K::PANEL - columns);
        }
    }
}
