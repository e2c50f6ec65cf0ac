//! `cargo xtask check`: what can be judged without running the product.

mod arrows;
mod cycles;
mod dependencies;
mod file_names;
mod links;
mod log_events;
mod sources;
mod words;

pub(crate) use dependencies::write_notices;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::steps::{Steps, cargo, pass, say};

/// Whether a rule holds. What breaks it is printed.
type Check = fn() -> Result<bool>;

/// Each check with its name.
const CHECKS: [(&str, Check); 10] = [
    ("format", format),
    ("lints", lints),
    ("documentation", documentation),
    ("arrows", || report(arrows::violations())),
    ("cycles", || report(cycles::violations())),
    ("dependencies", || report(dependencies::violations())),
    ("file-names", || report(file_names::violations())),
    ("links", || report(links::violations())),
    ("log-events", || report(log_events::violations())),
    ("words", || report(words::violations())),
];

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only these checks
    #[arg(long, value_delimiter = ',', value_name = "CHECK", value_parser = PossibleValuesParser::new(CHECKS.map(|(name, _)| name)))]
    only: Vec<String>,
}

/// Runs the checks.
pub(crate) fn run(args: &Args) -> bool {
    let mut steps = Steps::default();
    for (name, check) in CHECKS {
        if args.only.is_empty() || args.only.iter().any(|only| only == name) {
            steps.step(name, check);
        }
    }
    steps.end()
}

/// Runs all checks as part of a larger chore.
pub(crate) fn all(steps: &mut Steps) {
    for (name, check) in CHECKS {
        steps.step(name, check);
    }
}

fn format() -> Result<bool> {
    pass(&mut cargo(&["fmt", "--all", "--check"]))
}

fn lints() -> Result<bool> {
    let features = ["--all-targets", "--features", "xtask/bench"];
    pass(cargo(&["clippy", "--workspace"]).args(features).args(["--", "-D", "warnings"]))
}

fn documentation() -> Result<bool> {
    pass(cargo(&["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Prints violations, a line each. A check passes without any.
fn report(violations: Result<Vec<String>>) -> Result<bool> {
    let violations = violations?;
    for violation in &violations {
        say(violation);
    }
    Ok(violations.is_empty())
}
