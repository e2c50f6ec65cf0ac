use anyhow::Result;

use crate::bench::Bench;
use crate::bench::figures::{Figure, Target};

/// The release binary.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let bytes = std::fs::metadata(&bench.binary)?.len();
    Ok(vec![Figure {
        name: "release binary".into(),
        value: bytes as f64 / 1e6,
        unit: "MB",
        target: Target::AtMost(40.0),
        detail: format!("{bytes} bytes"),
    }])
}
