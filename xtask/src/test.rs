use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::check;
use crate::steps::{Steps, cargo, pass, say, target_dir, watch};

/// Where tests find the embedding model.
const MODEL_VARIABLE: &str = "MEMCLOUD_TEST_MODEL_DIR";
/// Tests whose names begin so take long; `--quick` leaves them out.
const SLOW: &str = "slow_";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the tests whose names begin with `slow_`
    #[arg(long)]
    quick: bool,
}

/// Everything a change must pass. The last line says how many tests passed and failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let target = target_dir()?;
    let model = target.join("models/all-MiniLM-L6-v2");
    let mut steps = Steps::default();
    steps.step("tools", tools);
    steps.step("embedding model", || fetch(&target));
    check::all(&mut steps);
    let mut counts = Counts::default();
    steps.step("tests", || tests(args, &model, &mut counts));
    let good = steps.end();
    say(&format!("{} passed, {} failed", counts.passed, counts.failed));
    Ok(good && counts.failed == 0)
}

/// What a new machine must have.
fn tools() -> Result<bool> {
    let wanted = [
        ("rustfmt", "rustup component add rustfmt"),
        ("cargo-clippy", "rustup component add clippy"),
        ("cc", "install a C compiler, such as the package gcc"),
    ];
    for (tool, mend) in wanted {
        let there = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            bail!("there is no {tool}: {mend}");
        }
    }
    Ok(true)
}

/// Fetches the model once into `models/` below this folder; what is there and intact is kept.
pub(crate) fn fetch(target: &Path) -> Result<bool> {
    pass(
        cargo(&["run", "--quiet", "--package", "memcloud", "--", "model", "fetch", "--data-dir"]).arg(target),
    )
}

fn tests(args: &Args, model: &PathBuf, counts: &mut Counts) -> Result<bool> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--features", "xtask/bench"]);
    if args.quick {
        command.args(["--", "--skip", SLOW]);
    }
    watch(command.env(MODEL_VARIABLE, model), |line| counts.add(line))
}

/// How many tests passed and failed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    /// Adds what a line such as `test result: ok. 3 passed; 0 failed; …` says.
    fn add(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else { return };
        let count = |what: &str| {
            let before = result.split(what).next().filter(|before| before.len() < result.len());
            before.and_then(|before| before.split_whitespace().last()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += count(" passed");
        self.failed += count(" failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_cargo_says() {
        let mut counts = Counts::default();
        counts.add("running 4 tests");
        counts.add(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        counts.add("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(counts, Counts { passed: 14, failed: 3 });
    }
}
