//! What the product promises, measured on the real binary.
//!
//! Times of requests are compared with the time of the embedding inside them, which is measured in this process,
//! alternating with the requests: whatever else the machine does affects both alike. All figures are medians.

mod figures;
mod parts;
mod server;
mod texts;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memcloud_embed::{Model, weights};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::figures::Figure;
use crate::measure::Args;
use crate::steps::{say, target_dir};

/// What every part needs.
pub(crate) struct Bench {
    args: Args,
    model: Model,
    model_dir: PathBuf,
    /// The binary under measurement.
    binary: PathBuf,
    /// For requests, and for the stand-in for a language model. It runs on the thread that waits: no request has to wake
    /// another thread, and the stand-in answers while a request is awaited.
    runtime: Runtime,
}

impl Bench {
    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Whether the attack of this name is to be measured.
    fn wants(&self, attack: &str) -> bool {
        let named = &self.args.attack;
        named.is_empty() || named.iter().any(|part| attack.contains(part.as_str()))
    }

    /// Sends a request and waits for its answer. Answers how long that took, too.
    fn timed<T, E>(&self, request: impl Future<Output = Result<T, E>>) -> Result<(T, Duration)>
    where
        anyhow::Error: From<E>,
    {
        let began = Instant::now();
        let answer = self.wait(request)?;
        Ok((answer, began.elapsed()))
    }
}

type Part = fn(&Bench) -> Result<Vec<Figure>>;

const PARTS: [(&str, Part); 15] = [
    ("size", parts::size::measure),
    ("embedding", parts::embedding::measure),
    ("store", parts::store::measure),
    ("bulk", parts::bulk::measure),
    ("search", parts::search::measure),
    ("start", parts::start::measure),
    ("growth", parts::growth::measure),
    ("evidence", parts::evidence::measure),
    ("chat", parts::chat::measure),
    ("soak", parts::soak::measure),
    ("attacks", parts::attacks::measure),
    ("large", parts::attacks::large::measure),
    ("databases-writing", parts::databases::writing),
    ("databases-reading", parts::databases::reading),
    ("databases-evidence", parts::databases::evidence),
];

/// Measures, prints the table, and answers whether every target was met.
pub(crate) fn run(args: &Args) -> Result<bool> {
    // Fails only when a provider is installed already, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let model_dir = args.model.clone().context("--model is missing")?;
    let places =
        weights::ModelPlaces { model_dir: Some(model_dir.clone()), ..weights::ModelPlaces::default() };
    let files = weights::find(&places)?.context("--model names no folder with the embedding model")?;
    let model = Model::load(&files, memcloud_embed::Options::default())?;
    say(&format!("kernel {}, {} threads", model.isa(), model.threads()));
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => target_dir()?.join("release/memcloud"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bench = Bench { args: args.clone(), model, model_dir, binary, runtime };
    let mut figures = Vec::new();
    for (name, part) in PARTS {
        // It takes as long as it is asked to.
        if name == "soak" && args.only.is_empty() {
            continue;
        }
        if !args.only.is_empty() && !args.only.iter().any(|only| only == name) {
            continue;
        }
        for figure in part(&bench).with_context(|| format!("measuring '{name}'"))? {
            say(&figure.row());
            figures.push(figure);
        }
    }
    if args.first_build {
        for figure in parts::first_build::measure()? {
            say(&figure.row());
            figures.push(figure);
        }
    }
    if let Some(file) = &args.json {
        std::fs::write(file, format!("{:#}\n", report(&bench, &figures)))?;
    }
    Ok(figures.iter().all(Figure::met))
}

fn report(bench: &Bench, figures: &[Figure]) -> Value {
    json!({
        "kernel": bench.model.isa().to_string(),
        "threads": bench.model.threads(),
        "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
    })
}
