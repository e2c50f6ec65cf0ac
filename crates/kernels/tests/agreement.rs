//! Every instruction set of this machine against plain loops in `f64`.

#![expect(clippy::expect_used, reason = "in a test, that is the message")]

use memcloud_kernels::scan::quantize_i8;
use memcloud_kernels::{Isa, Kernels, LinearScratch, PackedLinear, Store};
use proptest::prelude::*;

fn all() -> Vec<Kernels> {
    Isa::available().into_iter().map(|isa| Kernels::new(isa).expect("available")).collect()
}

/// Values in -1..1 from a seed: proptest shrinks the shape, which is what finds mistakes here.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn close(isa: Isa, what: &str, got: &[f32], wanted: &[f64], tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), wanted.len());
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let difference = (f64::from(*got) - wanted).abs();
        prop_assert!(
            difference <= tolerance * (1.0 + wanted.abs()),
            "{isa} {what}[{i}]: {got} instead of {wanted}"
        );
    }
    Ok(())
}

fn erf(x: f64) -> f64 {
    // Maclaurin series; good to 1e-9 for |x| < 4.
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

fn linear(x: &[f32], weights: &[f32], bias: &[f32], rows: usize, inputs: usize) -> Vec<f64> {
    let mut out = Vec::new();
    for row in x.chunks_exact(inputs).take(rows) {
        for (weights, bias) in weights.chunks_exact(inputs).zip(bias) {
            let sum: f64 = row.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            out.push(sum + f64::from(*bias));
        }
    }
    out
}

fn attention(qkv: &[f32], tokens: usize, heads: usize, head_dim: usize) -> Vec<f64> {
    let width = heads * head_dim;
    let at = |token: usize, part: usize, head: usize, d: usize| {
        f64::from(qkv[token * 3 * width + part * width + head * head_dim + d])
    };
    let mut out = vec![0.0; tokens * width];
    for head in 0..heads {
        for i in 0..tokens {
            let scores: Vec<f64> = (0..tokens)
                .map(|j| (0..head_dim).map(|d| at(i, 0, head, d) * at(j, 1, head, d)).sum())
                .collect();
            let largest = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for d in 0..head_dim {
                out[i * width + head * head_dim + d] =
                    (0..tokens).map(|j| weights[j] * at(j, 2, head, d)).sum::<f64>() / total;
            }
        }
    }
    out
}

fn tolerance(isa: Isa, inputs: usize) -> f64 {
    // bf16 keeps 8 bits: errors of 2^-9 per factor, adding up like a random walk.
    if isa.is_bf16() { 0.012 * (inputs as f64).sqrt() } else { 2e-6 * (inputs as f64).sqrt() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn linear_layers_agree(
        rows in 1_usize..41, inputs in 1_usize..200, outputs in 1_usize..130, seed: u64,
    ) {
        let x = values(seed, rows * inputs);
        let weights = values(seed ^ 0x1111, outputs * inputs);
        let bias = values(seed ^ 0x2222, outputs);
        let plain = linear(&x, &weights, &bias, rows, inputs);
        for kernels in all() {
            let layer = PackedLinear::new(kernels, &weights, &bias, outputs, inputs);
            let mut scratch = LinearScratch::default();
            let mut out = vec![f32::NAN; rows * outputs];
            let tolerance = tolerance(kernels.isa(), inputs);
            layer.forward(&x, rows, &mut out, Store::Replace, &mut scratch);
            close(kernels.isa(), "replace", &out, &plain, tolerance)?;

            let doubled: Vec<f64> = plain.iter().map(|v| 2.0 * v).collect();
            layer.forward(&x, rows, &mut out, Store::Add, &mut scratch);
            close(kernels.isa(), "add", &out, &doubled, 2.0 * tolerance)?;

            let curved: Vec<f64> = plain.iter().map(|v| gelu(*v)).collect();
            layer.forward(&x, rows, &mut out, Store::Gelu, &mut scratch);
            close(kernels.isa(), "gelu", &out, &curved, 1.2 * tolerance)?;
        }
    }

    #[test]
    fn large_linear_layers_agree(rows in 120_usize..300, seed: u64) {
        // More rows than one block, and an inner dimension beyond one block's share.
        let (inputs, outputs) = (768, 40);
        let x = values(seed, rows * inputs);
        let weights = values(seed ^ 0x1111, outputs * inputs);
        let bias = values(seed ^ 0x2222, outputs);
        let plain = linear(&x, &weights, &bias, rows, inputs);
        for kernels in all() {
            let layer = PackedLinear::new(kernels, &weights, &bias, outputs, inputs);
            let mut out = vec![f32::NAN; rows * outputs];
            layer.forward(&x, rows, &mut out, Store::Replace, &mut LinearScratch::default());
            close(kernels.isa(), "replace", &out, &plain, tolerance(kernels.isa(), inputs))?;
        }
    }

    #[test]
    fn attention_agrees(
        tokens in 1_usize..70, heads in 1_usize..4, head_dim in prop::sample::select(vec![8, 16, 32, 40, 64]),
        spread in 0.1_f32..6.0, seed: u64,
    ) {
        let qkv: Vec<f32> =
            values(seed, tokens * 3 * heads * head_dim).into_iter().map(|v| v * spread).collect();
        let plain = attention(&qkv, tokens, heads, head_dim);
        for kernels in all() {
            let mut scratch = vec![f32::NAN; 100];
            let mut out = vec![f32::NAN; tokens * heads * head_dim];
            kernels.attention(&qkv, tokens, heads, head_dim, &mut out, &mut scratch);
            // The scores reach spread^2 * head_dim, and their error goes through the exponential.
            let tolerance = 1e-5 * f64::from(1.0 + spread * spread * (head_dim as f32).sqrt());
            close(kernels.isa(), "attention", &out, &plain, tolerance)?;
        }
    }

    #[test]
    fn layer_norms_agree(
        rows in 1_usize..9, sixteenths in 1_usize..65, residuals in 0_usize..4, offset in -3.0_f32..3.0, seed: u64,
    ) {
        let width = sixteenths * 16;
        let x: Vec<f32> = values(seed, rows * width).into_iter().map(|v| v + offset).collect();
        let added: Vec<Vec<f32>> =
            (0..residuals).map(|i| values(seed ^ (100 + i as u64), rows * width)).collect();
        let added: Vec<&[f32]> = added.iter().map(Vec::as_slice).collect();
        let (gamma, beta) = (values(seed ^ 0x3333, width), values(seed ^ 0x4444, width));
        let mut plain = Vec::new();
        for r in 0..rows {
            let row: Vec<f64> = (r * width..(r + 1) * width)
                .map(|i| f64::from(x[i]) + added.iter().map(|a| f64::from(a[i])).sum::<f64>())
                .collect();
            let mean = row.iter().sum::<f64>() / width as f64;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
            let scale = 1.0 / (variance + 1e-12).sqrt();
            plain.extend(
                row.iter().enumerate().map(|(i, v)| (v - mean) * scale * f64::from(gamma[i]) + f64::from(beta[i])),
            );
        }
        for kernels in all() {
            let mut out = x.clone();
            kernels.layer_norm(&mut out, &added, &gamma, &beta, 1e-12);
            close(kernels.isa(), "layer norm", &out, &plain, 2e-5)?;
        }
    }

    #[test]
    fn gelu_agrees(len in 0_usize..70, spread in 0.1_f32..20.0, seed: u64) {
        let x: Vec<f32> = values(seed, len).into_iter().map(|v| v * spread).collect();
        let plain: Vec<f64> = x.iter().map(|v| gelu(f64::from(*v))).collect();
        for kernels in all() {
            let mut out = x.clone();
            kernels.gelu(&mut out);
            // erf ends at -1 + 2^-24, which x / 2 multiplies.
            close(kernels.isa(), "gelu", &out, &plain, 1e-7 * f64::from(3.0 + spread))?;
        }
    }

    #[test]
    fn integer_products_are_equal(
        query in prop::collection::vec(any::<i8>(), 0..300), count in 0_usize..20, seed: u64,
    ) {
        let rows: Vec<i8> = values(seed, count * query.len()).iter().map(|v| (v * 128.0).floor() as i8).collect();
        let plain: Vec<i32> = (0..count)
            .map(|r| {
                let row = &rows[r * query.len()..(r + 1) * query.len()];
                row.iter().zip(&query).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
            })
            .collect();
        let indices: Vec<u32> = (0..count as u32).rev().step_by(2).collect();
        for kernels in all() {
            let mut out = vec![0; count];
            kernels.dot_i8(&query, &rows, &mut out);
            prop_assert_eq!(&out, &plain, "{}", kernels.isa());
            let mut out = vec![0; indices.len()];
            kernels.dot_i8_at(&query, &rows, &indices, &mut out);
            for (product, index) in out.iter().zip(&indices) {
                prop_assert_eq!(*product, plain[*index as usize], "{} at", kernels.isa());
            }
        }
    }

    #[test]
    fn quantizing_keeps_within_half_a_step(len in 1_usize..500, spread in 1e-20_f32..1e20, seed: u64) {
        let vector: Vec<f32> = values(seed, len).into_iter().map(|v| v * spread).collect();
        let mut out = vec![0; len];
        let scale = quantize_i8(&vector, &mut out);
        for (value, step) in vector.iter().zip(&out) {
            prop_assert!((value - f32::from(*step) * scale).abs() <= 0.5001 * scale);
            prop_assert!(*step != i8::MIN);
        }
    }
}

#[test]
fn extreme_integers_do_not_overflow() {
    let len = memcloud_kernels::scan::MAX_LEN;
    assert_eq!(len, 1 << 16);
    let lowest = vec![i8::MIN; len];
    for kernels in all() {
        let mut out = [0];
        kernels.dot_i8(&lowest, &lowest, &mut out);
        assert_eq!(i64::from(out[0]), 128 * 128 * i64::from(1_u32 << 16), "{}", kernels.isa());
    }
}

#[test]
fn vectors_without_a_scale_become_zeros() {
    for vector in [[0.0; 3], [1.0, f32::NAN, 2.0], [1.0, f32::INFINITY, 2.0], [1e-45, 0.0, 0.0]] {
        let mut out = [7; 3];
        assert!(quantize_i8(&vector, &mut out).abs() < f32::MIN_POSITIVE);
        assert_eq!(out, [0; 3]);
    }
}

#[test]
fn attention_weights_of_distant_scores_are_zero_and_not_nan() {
    // Two tokens whose scores differ by thousands.
    let (tokens, heads, head_dim) = (2, 1, 16);
    let mut qkv = vec![0.0; tokens * 3 * head_dim];
    qkv[0] = 1000.0;
    qkv[3 * head_dim + head_dim] = 1000.0;
    qkv[2 * head_dim] = 5.0;
    qkv[3 * head_dim + 2 * head_dim] = 7.0;
    for kernels in all() {
        let mut out = vec![0.0; tokens * head_dim];
        kernels.attention(&qkv, tokens, heads, head_dim, &mut out, &mut Vec::new());
        assert!((out[0] - 7.0).abs() < 1e-5, "{}: {}", kernels.isa(), out[0]);
        assert!((out[head_dim] - 6.0).abs() < 1e-5, "{}: {}", kernels.isa(), out[head_dim]);
    }
}

#[test]
fn lengths_are_checked() {
    fn panics(run: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(run).is_err()
    }
    for kernels in all() {
        let layer = || PackedLinear::new(kernels, &[1.0; 32 * 16], &[0.0; 32], 32, 16);
        let forward = |x: usize, rows: usize, out: usize| {
            let (x, mut out) = (vec![1.0; x], vec![0.0; out]);
            layer().forward(&x, rows, &mut out, Store::Replace, &mut LinearScratch::default());
        };
        assert!(!panics(|| forward(16, 1, 32)));
        assert!(!panics(|| forward(0, 0, 0)));
        assert!(panics(|| forward(15, 1, 32)));
        assert!(panics(|| forward(16, 1, 31)));
        assert!(panics(|| forward(16, usize::MAX / 2, 32)));
        assert!(panics(|| drop(PackedLinear::new(kernels, &[1.0; 31], &[0.0; 2], 2, 16))));
        assert!(panics(|| kernels.dot_i8(&[1; 4], &[1; 7], &mut [0; 2])));
        assert!(panics(|| kernels.dot_i8_at(&[1; 4], &[1; 8], &[2], &mut [0])));
        assert!(panics(|| kernels.dot_i8_at(&[1; 4], &[1; 8], &[0], &mut [0; 2])));
        assert!(panics(|| kernels.layer_norm(&mut [0.0; 16], &[&[0.0; 15]], &[1.0; 16], &[0.0; 16], 1e-12)));
        assert!(panics(|| kernels.layer_norm(&mut [0.0; 8], &[], &[1.0; 8], &[0.0; 8], 1e-12)));
        assert!(panics(|| kernels.attention(&[0.0; 95], 2, 1, 16, &mut [0.0; 32], &mut Vec::new())));
        assert!(panics(|| kernels.attention(&[0.0; 96], 2, 1, 16, &mut [0.0; 31], &mut Vec::new())));
    }
}

#[test]
fn names_are_read_back() {
    for isa in Isa::ALL {
        assert_eq!(isa.name().parse(), Ok(isa));
    }
    assert!("avx3".parse::<Isa>().expect_err("unknown").to_string().contains("avx2"));
    let missing = Isa::ALL.into_iter().find(|isa| !isa.is_available()).expect("no machine has all");
    assert!(Kernels::new(missing).is_err());
}
