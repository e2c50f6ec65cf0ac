use std::time::Instant;

use anyhow::Result;
use memcloud_kernels::{Kernels, peak};

use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::texts;

const TEXTS: usize = 2_000;
const BATCH: usize = 32;
const ROUNDS: usize = 5;
const QUESTION_TOKENS: usize = 20;
const QUESTIONS: usize = 200;
const PEAK_RUNS: usize = 5;

/// How close embedding comes to what the machine can compute: each round relative to the peak of that round.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut batch = match &bench.args.data {
        Some(file) => texts::turns(file)?,
        None => (0..TEXTS).map(texts::message).collect(),
    };
    batch.truncate(TEXTS);
    batch.sort_by_key(String::len);
    Ok(vec![share_of_peak(bench, &batch)?, question(bench)?])
}

fn share_of_peak(bench: &Bench, batch: &[String]) -> Result<Figure> {
    let (model, kernels) = (&bench.model, Kernels::new(bench.model.isa())?);
    let texts: Vec<&str> = batch.iter().map(String::as_str).collect();
    let work = model.flops(texts.iter().map(|text| model.count_tokens(text)));
    let (mut shares, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let peak = peak::flops_per_second_of_threads(kernels, PEAK_RUNS, model.threads());
        let began = Instant::now();
        for chunk in texts.chunks(BATCH) {
            std::hint::black_box(model.embed(chunk));
        }
        let seconds = began.elapsed().as_secs_f64();
        shares.push(work / seconds / peak * 100.0);
        rates.push(texts.len() as f64 / seconds);
    }
    Ok(Figure {
        name: format!("embedding in batches, share of peak, {} threads", model.threads()),
        value: median(shares),
        unit: "%",
        target: Target::AtLeast(65.0),
        detail: format!("{:.0} texts/s over {} texts", median(rates), texts.len()),
    })
}

fn question(bench: &Bench) -> Result<Figure> {
    let (model, kernels) = (&bench.model, Kernels::new(bench.model.isa())?);
    let mut text = String::from("what");
    while model.count_tokens(&text) < QUESTION_TOKENS {
        text.push_str(" now");
    }
    let work = model.flops([model.count_tokens(&text)]);
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let at_peak = work / peak::flops_per_second(kernels, PEAK_RUNS) * 1e3;
        let mut round = Vec::new();
        for _ in 0..QUESTIONS {
            let began = Instant::now();
            std::hint::black_box(model.embed_one(&text));
            round.push(millis(began.elapsed()));
        }
        let time = median(round);
        ratios.push(time / at_peak);
        times.push(time);
    }
    Ok(Figure {
        name: format!("embedding {QUESTION_TOKENS} tokens / time at one core's peak"),
        value: median(ratios),
        unit: "x",
        target: Target::AtMost(2.0),
        detail: format!("{:.2} ms", median(times)),
    })
}
