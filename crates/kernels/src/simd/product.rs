//! The matrix product with packed weights.

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
        next = next.wrapping_add(LINE_ELEMENTS);
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
        // In a loop of its own, which finds the values in the first-level cache: inside the loop above, it
        // would be unrolled for each register of the tile.
        for r in 0..ROWS {
            for v in 0..VECTORS {
                let at = job.out.add(r * job.out_stride + v * lanes);
                gelu(K::Vector::load(at)).store(at);
            }
        }
    }
}

/// Elements in a cache line of 64 bytes: both kinds of element have four bytes.
const LINE_ELEMENTS: usize = 16;

/// The tile with the wanted number of rows. Arms above `K::TILE_ROWS` fall away at compile time.
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

/// How many bytes of input are kept in the second-level cache while all panels pass by.
const INPUT_BLOCK_BYTES: usize = 256 * 1024;

/// The product for any number of rows: blocks of rows that stay in the second-level cache, and for each
/// panel (which stays in the first level) all tiles of the block.
#[inline(always)]
pub(super) unsafe fn product<K: Kernel>(job: &Product<K::Element>) {
    let tiles_per_block =
        (INPUT_BLOCK_BYTES / (job.depth.max(1) * size_of::<K::Element>()) / K::TILE_ROWS).max(1);
    let block = tiles_per_block * K::TILE_ROWS;
    let blocks = job.rows.div_ceil(block);
    for b in 0..blocks {
        let (from, to) = (share(job.rows, b, blocks), share(job.rows, b + 1, blocks));
        product_of_block::<K>(job, from, to);
    }
}

/// Start of part `index` when `total` is cut in `parts` parts that differ by one at most. Even parts keep
/// the tiles tall: 20 rows are 5 + 5 + 5 + 5 and not 6 + 6 + 6 + 2.
#[inline(always)]
fn share(total: usize, index: usize, parts: usize) -> usize {
    total * index / parts
}

#[inline(always)]
unsafe fn product_of_block<K: Kernel>(job: &Product<K::Element>, from: usize, to: usize) {
    let rows = to - from;
    let tiles = rows.div_ceil(K::TILE_ROWS);
    let panels = job.columns.div_ceil(K::PANEL);
    let panel_elements = K::PANEL * job.depth;
    for p in 0..panels {
        let panel = job.panels.add(p * panel_elements);
        for t in 0..tiles {
            let (first, last) = (share(rows, t, tiles), share(rows, t + 1, tiles));
            let tile = Tile {
                input: job.input.add((from + first) * job.input_stride),
                input_stride: job.input_stride,
                depth: job.depth,
                panel,
                bias: job.bias.add(p * K::PANEL),
                out: job.out.add((from + first) * job.out_stride + p * K::PANEL),
                out_stride: job.out_stride,
                accumulate: job.accumulate,
                gelu: job.gelu,
                // Few rows mean that the weights come from memory faster than the hardware foresees, so
                // each tile asks for its share of the next panel.
                next: panel.wrapping_add(panel_elements + t * job.depth * LINE_ELEMENTS),
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

/// Room for the largest tile, 12 rows of 32 columns.
const EDGE_VALUES: usize = 12 * 32;

/// A tile in the last panel, of which only `columns` columns exist: worked out beside, then copied.
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
