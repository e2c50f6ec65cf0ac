//! The dot products of a search: one question against every vector of a space, and against some of them.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use memcloud_kernels::scan::{dot_i8, dot_i8_at, quantize_i8};

/// The numbers of one vector of the default embedding model.
const DIMENSIONS: usize = 384;
/// The rows of a small and of a large space.
const ROWS: [usize; 2] = [1_000, 100_000];

fn main() {
    divan::main();
}

/// Vectors that look like embeddings: their numbers are in no order and fill the range.
fn vectors(rows: usize) -> Vec<i8> {
    let mut state = 0x9e37_79b9_u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i8
    };
    (0..rows * DIMENSIONS).map(|_| number()).collect()
}

#[divan::bench(args = ROWS)]
fn all_rows(bencher: Bencher<'_, '_>, rows: usize) {
    let (query, index) = (vectors(1), vectors(rows));
    let mut out = vec![0; rows];
    bencher
        .counter(ItemsCount::new(rows))
        .bench_local(|| dot_i8(black_box(&query), black_box(&index), &mut out));
}

#[divan::bench(args = ROWS)]
fn one_row_in_ten(bencher: Bencher<'_, '_>, rows: usize) {
    let (query, index) = (vectors(1), vectors(rows));
    let chosen: Vec<u32> = (0..rows as u32).step_by(10).collect();
    let mut out = vec![0; chosen.len()];
    bencher
        .counter(ItemsCount::new(chosen.len()))
        .bench_local(|| dot_i8_at(black_box(&query), black_box(&index), black_box(&chosen), &mut out));
}

#[divan::bench]
fn quantize(bencher: Bencher<'_, '_>) {
    let vector: Vec<f32> = vectors(1).into_iter().map(f32::from).collect();
    let mut out = vec![0; DIMENSIONS];
    bencher.bench_local(|| quantize_i8(black_box(&vector), &mut out));
}
