use std::path::PathBuf;

use anyhow::Result;

use crate::steps::{cargo, pass, target_dir};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Write the figures to this file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Conversations in LoCoMo format: for the texts of the batch row, and for the evidence rows
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// The scorer of the evidence rows, a Python program that is given URL, FILE and --json
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) scorer: Option<PathBuf>,
    /// The folder of the embedding model [default: target/models/all-MiniLM-L6-v2]
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// Only these parts: evidence, embedding, store, bulk, search, start, growth, size,
    /// chat, soak, attacks, large, databases-writing, databases-reading, databases-evidence
    #[arg(long, value_delimiter = ',', value_name = "PART")]
    pub(crate) only: Vec<String>,
    /// Of the attacks only those whose names contain one of these, for example 'pipeline' or 'a batch of'
    #[arg(long, value_delimiter = ',', value_name = "PART OF A NAME")]
    pub(crate) attack: Vec<String>,
    /// Measure this binary instead of the one of this checkout, to compare two builds
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// How long the soak takes, which runs only when it is named
    #[arg(long, value_name = "MINUTES", default_value_t = 20)]
    pub(crate) minutes: u64,
    /// Also build from nothing, which takes minutes
    #[arg(long)]
    pub(crate) first_build: bool,
}

/// Builds for release, and measures in the program that was built.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut build = cargo(&["build", "--release", "-p", "xtask", "--features", "xtask/bench"]);
    if args.binary.is_none() {
        build.args(["-p", "memcloud"]);
    }
    if !build.status()?.success() {
        return Ok(false);
    }
    let mut again = std::process::Command::new(target_dir()?.join("release/xtask"));
    again.arg("bench");
    for (flag, value) in [
        ("--json", &args.json),
        ("--data", &args.data),
        ("--scorer", &args.scorer),
        ("--model", &args.model),
        ("--binary", &args.binary),
    ] {
        if let Some(value) = value {
            again.arg(flag).arg(value);
        }
    }
    if !args.only.is_empty() {
        again.arg("--only").arg(args.only.join(","));
    }
    if !args.attack.is_empty() {
        again.arg("--attack").arg(args.attack.join(","));
    }
    again.args(["--minutes", &args.minutes.to_string()]);
    if args.first_build {
        again.arg("--first-build");
    }
    let model = target_dir()?.join("models/all-MiniLM-L6-v2");
    if args.model.is_none() {
        let ours = target_dir()?.join("release/memcloud");
        let mut fetch = std::process::Command::new(args.binary.as_ref().unwrap_or(&ours));
        pass(fetch.args(["model", "fetch", "--data-dir"]).arg(target_dir()?))?;
        again.arg("--model").arg(model);
    }
    pass(&mut again)
}
