//! How fast the model is, compared with what the machine could do.
//!
//! `cargo run --release -p memcloud-embed --example throughput -- <model folder> <file with one text a line>`

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use memcloud_embed::weights::ModelFiles;
use memcloud_embed::{Isa, Model, Options};
use memcloud_kernels::{Kernels, peak};

const QUESTION: &str = "what did the two of them decide about moving the old piano out of the flat last week";

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: throughput <model folder> <file with one text a line> [instruction set]".into());
    };
    let isa = arguments.next().map(|name| name.parse()).transpose()?.unwrap_or_else(Isa::detect);
    let files = ModelFiles::in_dir(Path::new(&dir))?;
    let lines = std::fs::read_to_string(path)?;
    let texts: Vec<&str> = lines.lines().collect();
    let kernels = Kernels::new(isa)?;

    let one_core = peak::flops_per_second(kernels, 5);
    for threads in [1, 2] {
        let peak = peak::flops_per_second_of_threads(kernels, 5, threads);
        let start = Instant::now();
        let model =
            Model::load_with(&files, Options { isa: Some(isa), threads: NonZeroUsize::new(threads) })?;
        let load = start.elapsed().as_secs_f64();
        println!("{isa}, {threads} threads: peak {:.1} GFLOP/s, loaded in {:.0} ms", peak / 1e9, load * 1e3);

        let tokens = texts.iter().map(|t| model.count_tokens(t).min(model.max_tokens()));
        let flops = model.flops(tokens);
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            std::hint::black_box(model.embed(&texts));
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!(
            "  batch: {:.1} texts/s, {:.1} GFLOP/s, {:.1} % of the peak",
            texts.len() as f64 / best,
            flops / best / 1e9,
            100.0 * flops / best / peak
        );

        let count = model.count_tokens(QUESTION);
        let mut times: Vec<f64> = (0..200)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(model.embed_one(QUESTION));
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let (median, ideal) = (times[times.len() / 2], model.flops([count]) / one_core);
        println!(
            "  one question of {count} tokens: p50 {:.2} ms, p95 {:.2} ms, {:.2} times the {:.2} ms of one core's peak",
            median * 1e3,
            times[times.len() * 95 / 100] * 1e3,
            median / ideal,
            ideal * 1e3
        );
    }
    Ok(())
}
