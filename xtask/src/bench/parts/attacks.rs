//! What strangers and large requests cost everyone else.

mod large;
mod others;
mod strangers;

use anyhow::Result;

use crate::bench::Bench;
use crate::bench::figures::Figure;

pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = strangers::measure(bench)?;
    figures.extend(large::measure(bench)?);
    Ok(figures)
}
