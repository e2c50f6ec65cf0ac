//! Figures with their targets, as a table and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

/// Which side of the target is good.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Reported without a target.
    None,
}

/// One row.
#[derive(Clone)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    /// The measurements it was computed from.
    pub(crate) detail: String,
}

impl Figure {
    pub(crate) fn met(&self) -> bool {
        match self.target {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
            Target::None => true,
        }
    }

    /// The row of the table.
    pub(crate) fn row(&self) -> String {
        let (target, verdict) = match self.target {
            Target::AtMost(most) => (format!("<= {most}"), self.verdict()),
            Target::AtLeast(least) => (format!(">= {least}"), self.verdict()),
            Target::None => (String::new(), ""),
        };
        format!(
            "{:<52}{:>10.3} {:<8}{target:>10}  {verdict:<7} {}",
            self.name, self.value, self.unit, self.detail
        )
    }

    fn verdict(&self) -> &'static str {
        if self.met() { "met" } else { "MISSED" }
    }

    pub(crate) fn json(&self) -> Value {
        let target = match self.target {
            Target::AtMost(most) => json!({"at_most": most}),
            Target::AtLeast(least) => json!({"at_least": least}),
            Target::None => Value::Null,
        };
        json!({
            "name": self.name, "value": self.value, "unit": self.unit, "target": target, "met": self.met(),
            "detail": self.detail,
        })
    }
}

/// The middle value.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this share of all is.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

/// Milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
