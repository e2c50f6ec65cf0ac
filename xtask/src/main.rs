//! The project's own chores: `cargo xtask test`, `databases`, `cloud`, `check`, `licenses` and `bench`.

#![expect(
    clippy::disallowed_methods,
    reason = "the project's chores read the environment and wait for processes"
)]

#[cfg(feature = "bench")]
mod bench;
mod check;
mod cloud;
mod databases;
mod examples;
mod kept;
mod locomo;
mod measure;
mod programs;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Everything a change must pass, from a clean checkout on
    Test(test::Args),
    /// Start the databases that tests run on, and keep them running
    Databases(databases::Args),
    /// A stand-in for Google Cloud and Neo4j Aura, until it is interrupted
    Cloud(cloud::Args),
    /// Formatting, lints, documentation, and the rules of the project itself
    Check(check::Args),
    /// Write the licenses of the crates in the binary
    Licenses,
    /// Print conversations of the LoCoMo benchmark as lines for 'memcloud import'
    Locomo(locomo::Args),
    /// Measure what the product promises, on release builds
    Bench(measure::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Test(args) => test::run(&args),
        Chore::Databases(args) => databases::run(&args),
        Chore::Cloud(args) => cloud::run(&args),
        Chore::Check(args) => Ok(check::run(&args)),
        Chore::Licenses => check::write_notices(),
        Chore::Locomo(args) => locomo::run(&args),
        Chore::Bench(args) => measured(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            steps::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures in a release build: in this one, or in one that is built first.
fn measured(args: &measure::Args) -> anyhow::Result<bool> {
    #[cfg(feature = "bench")]
    if !cfg!(debug_assertions) {
        return bench::run(args);
    }
    measure::run(args)
}
