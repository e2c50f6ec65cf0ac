//! What the product promises, measured on the real binary.
//!
//! Times of requests are compared with the time of the embedding inside them, which is measured in this process,
//! alternating with the requests: whatever else the machine does affects both alike. All figures are medians.

mod figures;
mod http;
mod parts;
mod server;
mod texts;

use std::path::PathBuf;

use anyhow::{Context, Result};
use memcloud_embed::{Model, weights};
use serde_json::{Value, json};

use self::figures::Figure;
use crate::measure::Args;
use crate::steps::say;

/// What every part needs.
pub(crate) struct Bench {
    args: Args,
    model: Model,
    model_dir: PathBuf,
}

type Part = fn(&Bench) -> Result<Vec<Figure>>;

const PARTS: [(&str, Part); 13] = [
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
    ("databases-writing", parts::databases::writing),
    ("databases-reading", parts::databases::reading),
    ("databases-evidence", parts::databases::evidence),
];

/// Measures, prints the table, and answers whether every target was met.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let model_dir = args.model.clone().context("--model is missing")?;
    let places = weights::Places { model_dir: Some(model_dir.clone()), ..weights::Places::default() };
    let files = weights::find(&places)?.context("--model names no folder with the embedding model")?;
    let model = Model::load(&files, memcloud_embed::Options::default())?;
    say(&format!("kernel {}, {} threads", model.isa(), model.threads()));
    let bench = Bench { args: args.clone(), model, model_dir };
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
