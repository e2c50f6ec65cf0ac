use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::Bench;
use crate::bench::figures::{Figure, Target};
use crate::bench::server::Server;
use crate::steps::say;

/// How much of the annotated evidence is found, as the scorer counts it.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let (Some(data), Some(scorer)) = (&bench.args.data, &bench.args.scorer) else {
        say("evidence found: not measured; give --data and --scorer");
        return Ok(Vec::new());
    };
    let folder = tempfile::tempdir()?;
    let server = Server::start(bench, &folder.path().join("data"))?;
    Ok(figures(&score(&server, data, scorer)?))
}

/// What the scorer reports for an empty server, which it fills.
pub(super) fn score(server: &Server, data: &Path, scorer: &Path) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let result = folder.path().join("result.json");
    let scored = Command::new("python3")
        .arg(scorer)
        .arg(format!("http://{}", server.address))
        .arg(data)
        .arg("--json")
        .arg(&result)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot run the scorer")?;
    ensure!(scored.success(), "the scorer failed");
    Ok(serde_json::from_str(&std::fs::read_to_string(&result)?)?)
}

fn figures(result: &Value) -> Vec<Figure> {
    let share = |of: &Value, measure: &str| of[measure].as_f64().unwrap_or(f64::NAN) * 100.0;
    let figure = |name: String, value: f64, of: &Value| Figure {
        name,
        value,
        unit: "%",
        target: Target::None,
        detail: format!(
            "{} questions",
            of["n"].as_u64().or(result["questions"].as_u64()).unwrap_or_default()
        ),
    };
    let all = ["recall@10", "recall@5", "recall@4000ch"].map(|measure| {
        figure(format!("evidence found, {measure}"), share(&result["all"], measure), &result["all"])
    });
    let categories = result["by_category"].as_object().into_iter().flatten();
    let categories = categories
        .map(|(name, of)| figure(format!("evidence found, recall@10, {name}"), share(of, "recall@10"), of));
    all.into_iter().chain(categories).collect()
}
