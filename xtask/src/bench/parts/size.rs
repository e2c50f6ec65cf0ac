use anyhow::Result;

use crate::bench::Bench;
use crate::bench::figures::{Figure, Target};
use crate::bench::server::binary;

/// The release binary.
pub(in crate::bench) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    let bytes = std::fs::metadata(binary()?)?.len();
    Ok(vec![Figure {
        name: "release binary".into(),
        value: bytes as f64 / 1e6,
        unit: "MB",
        target: Target::AtMost(40.0),
        detail: format!("{bytes} bytes"),
    }])
}
