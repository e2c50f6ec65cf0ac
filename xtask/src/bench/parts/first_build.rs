use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::figures::{Figure, Target};
use crate::steps::cargo;

/// A release build from nothing. Dependencies are downloaded first, so the network is not measured.
pub(in crate::bench) fn measure() -> Result<Vec<Figure>> {
    let target = tempfile::tempdir()?;
    ensure!(cargo(&["fetch"]).status()?.success(), "cannot fetch the dependencies");
    let (began, cpu) = (Instant::now(), children_cpu_seconds()?);
    let built =
        cargo(&["build", "--release", "-p", "memcloud"]).env("CARGO_TARGET_DIR", target.path()).status()?;
    ensure!(built.success(), "the build failed");
    let cpu = children_cpu_seconds()? - cpu;
    Ok(vec![Figure {
        name: "first build".into(),
        value: began.elapsed().as_secs_f64() / 60.0,
        unit: "min",
        target: Target::AtMost(6.0),
        detail: format!("{cpu:.0} CPU seconds"),
    }])
}

/// The CPU time of all ended children, from the fields after the program's name.
fn children_cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}
