//! The matrix product with packed weights.

use std::ops::Range;

use super::kernel::{Kernel, Product, Tile, Vector};
use super::math::gelu;

/// One register tile of `ROWS` by `VECTORS` registers.
///
/// The sums live in registers over the whole inner dimension; each step loads `VECTORS` registers of
/// weights and broadcasts `ROWS` inputs, so arithmetic outweighs loads.
#[inline(always)]
unsafe fn tile<K: Kernel, const ROWS: usize, const VECTORS: usize>(job: &Tile<K::Element>) {
    let lanes = K::Vector::LANES;
    let mut sums = [[K::Vector::splat(0.0); VECTORS]; ROWS];
    for v in 0..VECTORS {
        let bias = K::Vector::load(job.bias.add(v * lanes));
        for row in &mut sums {
            row[v] = bias;
        }
    }
    let (mut input, mut panel, mut next) = (job.input, job.panel, job.next);
    for _ in 0..job.depth {
        let mut weights = [K::weights(panel); VECTORS];
        for (v, w) in weights.iter_mut().enumerate().skip(1) {
            *w = K::weights(panel.add(v * lanes));
        }
        for (r, row) in sums.iter_mut().enumerate() {
            let x = K::broadcast(input.wrapping_add(r * job.input_stride));
            for v in 0..VECTORS {
                row[v] = K::multiply_add(x, weights[v], row[v]);
            }
        }
        K::prefetch(next);
        input = input.wrapping_add(1);
        panel = panel.wrapping_add(VECTORS * lanes);
        next = next.wrapping_add(job.next_step);
    }
    for (r, row) in sums.iter().enumerate() {
        let out = job.out.add(r * job.out_stride);
        for (v, sum) in row.iter().enumerate() {
            let to = out.add(v * lanes);
            let sum = if job.accumulate { sum.add(K::Vector::load(to)) } else { *sum };
            sum.store(to);
        }
    }
    if job.gelu {
        // A separate loop, which finds the values in the first-level cache: inside the loop above it would be
        // unrolled for each register of the tile.
        for r in 0..ROWS {
            for v in 0..VECTORS {
                let at = job.out.add(r * job.out_stride + v * lanes);
                gelu(K::Vector::load(at)).store(at);
            }
        }
    }
}

/// The tile with this number of rows. Arms above `K::TILE_ROWS` are removed at compile time.
#[inline(always)]
pub(super) unsafe fn tile_of<K: Kernel, const VECTORS: usize>(rows: usize, job: &Tile<K::Element>) {
    debug_assert!(VECTORS == K::TILE_VECTORS && (1..=K::TILE_ROWS).contains(&rows));
    match rows {
        1 => tile::<K, 1, VECTORS>(job),
        2 => tile::<K, 2, VECTORS>(job),
        3 => tile::<K, 3, VECTORS>(job),
        4 => tile::<K, 4, VECTORS>(job),
        5 if K::TILE_ROWS >= 5 => tile::<K, 5, VECTORS>(job),
        6 if K::TILE_ROWS >= 6 => tile::<K, 6, VECTORS>(job),
        7 if K::TILE_ROWS >= 7 => tile::<K, 7, VECTORS>(job),
        8 if K::TILE_ROWS >= 8 => tile::<K, 8, VECTORS>(job),
        9 if K::TILE_ROWS >= 9 => tile::<K, 9, VECTORS>(job),
        10 if K::TILE_ROWS >= 10 => tile::<K, 10, VECTORS>(job),
        11 if K::TILE_ROWS >= 11 => tile::<K, 11, VECTORS>(job),
        12 if K::TILE_ROWS >= 12 => tile::<K, 12, VECTORS>(job),
        _ => {}
    }
}

/// Bytes of input kept in the second-level cache while all panels are processed.
const INPUT_BLOCK_BYTES: usize = 192 * 1024;
/// Bytes of a panel kept in the first-level cache while all tiles of a block are processed.
const PANEL_BLOCK_BYTES: usize = 24 * 1024;

/// The product for any number of rows: blocks of input that stay in the second-level cache, and for each
/// piece of a panel (which stays in the first level) all tiles of the block.
#[inline(always)]
pub(super) unsafe fn product<K: Kernel>(job: &Product<K::Element>) {
    let element = size_of::<K::Element>();
    let depth_blocks = (job.depth * K::PANEL * element).div_ceil(PANEL_BLOCK_BYTES).max(1);
    let depth = job.depth.div_ceil(depth_blocks).max(1);
    let tiles_per_block = (INPUT_BLOCK_BYTES / (depth * element) / K::TILE_ROWS).max(1);
    let row_blocks = job.rows.div_ceil(tiles_per_block * K::TILE_ROWS);
    for r in 0..row_blocks {
        let rows = share(job.rows, r, row_blocks)..share(job.rows, r + 1, row_blocks);
        for d in 0..depth_blocks {
            let depths = share(job.depth, d, depth_blocks)..share(job.depth, d + 1, depth_blocks);
            product_of_block::<K>(job, rows.clone(), depths);
        }
    }
}

/// Start of part `index` when `total` is cut into `parts` parts whose sizes differ by at most one. Even parts keep
/// the tiles tall: 20 rows are 5 + 5 + 5 + 5 and not 6 + 6 + 6 + 2.
#[inline(always)]
fn share(total: usize, index: usize, parts: usize) -> usize {
    total * index / parts
}

/// The part of the product that comes from some of the inner dimension, for some rows.
#[inline(always)]
unsafe fn product_of_block<K: Kernel>(job: &Product<K::Element>, rows: Range<usize>, depths: Range<usize>) {
    let tiles = rows.len().div_ceil(K::TILE_ROWS);
    let panels = job.columns.div_ceil(K::PANEL);
    let panel_elements = K::PANEL * job.depth;
    let (is_first, is_last) = (depths.start == 0, depths.end == job.depth);
    // With few rows, the weights are needed faster than the hardware prefetches them, so each tile of a panel
    // prefetches its share of the next one.
    let next_step = K::PANEL.div_ceil(tiles.max(1));
    for p in 0..panels {
        let panel = job.panels.add(p * panel_elements + depths.start * K::PANEL);
        for t in 0..tiles {
            let first = rows.start + share(rows.len(), t, tiles);
            let last = rows.start + share(rows.len(), t + 1, tiles);
            let tile = Tile {
                input: job.input.add(first * job.input_stride + depths.start),
                input_stride: job.input_stride,
                depth: depths.len(),
                panel,
                bias: if is_first { job.bias.add(p * K::PANEL) } else { NO_BIAS.as_ptr() },
                out: job.out.add(first * job.out_stride + p * K::PANEL),
                out_stride: job.out_stride,
                accumulate: job.accumulate || !is_first,
                gelu: job.gelu && is_last,
                next: panel.wrapping_add(panel_elements + t * depths.len() * next_step),
                next_step,
            };
            let columns = job.columns - p * K::PANEL;
            if columns >= K::PANEL {
                K::tile(last - first, &tile);
            } else {
                edge_tile::<K>(last - first, columns, tile);
            }
        }
    }
}

/// The bias for a product that is added to a sum with a bias of its own.
static NO_BIAS: [f32; 32] = [0.0; 32];

/// Space for the largest tile, 12 rows of 32 columns.
const EDGE_VALUES: usize = 12 * 32;

/// A tile in the last panel, of which only `columns` columns exist: computed in a buffer, then copied.
#[inline(always)]
unsafe fn edge_tile<K: Kernel>(rows: usize, columns: usize, tile: Tile<K::Element>) {
    let mut edge = [0.0_f32; EDGE_VALUES];
    let (out, out_stride) = (tile.out, tile.out_stride);
    if tile.accumulate {
        for r in 0..rows {
            let from = out.add(r * out_stride);
            std::ptr::copy_nonoverlapping(from, edge.as_mut_ptr().add(r * K::PANEL), columns);
        }
    }
    let tile = Tile { out: edge.as_mut_ptr(), out_stride: K::PANEL, ..tile };
    K::tile(rows, &tile);
    for r in 0..rows {
        let from = edge.as_ptr().add(r * K::PANEL);
        std::ptr::copy_nonoverlapping(from, out.add(r * out_stride), columns);
    }
}
