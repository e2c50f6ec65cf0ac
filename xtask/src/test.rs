use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::check;
use crate::databases::Databases;
use crate::examples;
use crate::steps::{Steps, cargo, prepare, say, target_dir, watch};

/// Where tests find the embedding model.
const MODEL_VARIABLE: &str = "MEMCLOUD_TEST_MODEL_DIR";
/// Tests with this prefix take long; `--quick` leaves them out.
const SLOW: &str = "slow_";
/// Tests with this prefix start and break servers of their own. They need installations that are not fetched when the
/// databases are given.
const FAULT: &str = "fault_";
/// Every test there is.
const TESTS: [&str; 5] = ["test", "--workspace", "--no-fail-fast", "--features", "xtask/bench"];

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
    let mut packages = None;
    steps.step("packages of the examples", || {
        packages = Some(examples::prepare(&target)?);
        Ok(true)
    });
    let mut databases = None;
    steps.step("databases", || {
        databases = Some(Databases::start(&target)?);
        Ok(true)
    });
    let mut counts = Counts::default();
    let mut environment = vec![(MODEL_VARIABLE, model)];
    environment.extend(packages.map(|folder| (examples::VARIABLE, folder)));
    steps.step("tests", || tests(args, environment, databases.as_ref(), &mut counts));
    drop(databases);
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
    for (tool, hint) in wanted {
        let there = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            bail!("{tool} is missing: {hint}");
        }
    }
    Ok(true)
}

/// Fetches the model once into `models/` below this folder; what is there and intact is kept.
pub(crate) fn fetch(target: &Path) -> Result<bool> {
    prepare(
        cargo(&["run", "--quiet", "--package", "memcloud", "--", "model", "fetch", "--data-dir"]).arg(target),
    )
}

fn tests(
    args: &Args,
    environment: Vec<(&str, PathBuf)>,
    databases: Option<&Databases>,
    counts: &mut Counts,
) -> Result<bool> {
    let mut command = cargo(&TESTS);
    command.envs(environment);
    let mut left_out = Vec::new();
    if args.quick {
        left_out.push((SLOW, "--quick was asked for"));
    }
    if let Some(databases) = databases {
        command.envs(databases.environment().iter().cloned());
        if databases.are_given() {
            left_out.push((FAULT, "they start servers of their own, and these databases are given"));
        }
    }
    if !left_out.is_empty() {
        leave_out(&left_out, &mut command)?;
    }
    watch(&mut command, |line| counts.add(line))
}

/// Makes Cargo leave out the tests with these prefixes, and reports how many and why.
fn leave_out(left_out: &[(&str, &str)], command: &mut Command) -> Result<()> {
    let list = list()?;
    // Without `--exact` a part of a name would match, and `default_` contains `fault_`.
    command.args(["--", "--exact"]);
    for (beginning, why) in left_out {
        let names = begin_with(beginning, &list);
        say(&format!("LEFT OUT: {} tests whose names begin with {beginning}: {why}", names.len()));
        command.args(names.iter().flat_map(|name| ["--skip", name]));
    }
    Ok(())
}

/// All tests, a line each.
fn list() -> Result<String> {
    let mut listing = cargo(&TESTS);
    let output = listing.args(["--", "--list", "--format", "terse"]).stderr(Stdio::inherit()).output();
    let output = output.context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo cannot list the tests: see above");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The tests in a list whose own names, without their modules, have this prefix.
fn begin_with<'a>(beginning: &str, list: &'a str) -> Vec<&'a str> {
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let own = |name: &'a str| name.rsplit("::").next().unwrap_or_default();
    names.filter(|name| own(name).starts_with(beginning)).collect()
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
    #[test]
    fn tests_are_left_out_by_how_their_own_names_begin() {
        let list = "fault_a: test\ntests::fault_b: test\ntests::default_c: test\nfault_d: benchmark\n";
        assert_eq!(begin_with(FAULT, list), ["fault_a", "tests::fault_b"]);
    }
}
