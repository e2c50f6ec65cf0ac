//! The arrows between crates: who may use whom.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::steps::metadata;

const PREFIX: &str = "memcloud-";

/// What each crate of the workspace may depend on, besides what its tests need.
///
/// The server and the memory know no engine: only the composition root names one. The last two are not part of the
/// product: they build, test and measure all of it.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("kernels", &[]),
    ("fake-llm", &[]),
    ("test-document", &["sse"]),
    ("test-servers", &[]),
    ("hostile-cloud", &["test-servers"]),
    ("google", &[]),
    ("tasks", &[]),
    ("sse", &[]),
    ("api", &["domain"]),
    ("ports", &["domain"]),
    ("store-connection", &["domain", "tasks"]),
    ("memory", &["ports", "domain", "kernels", "tasks"]),
    ("embed", &["ports", "domain", "kernels", "tasks"]),
    ("llm", &["ports", "domain", "sse"]),
    ("store-sqlite", &["ports", "domain"]),
    ("store-postgres", &["ports", "domain", "store-connection"]),
    ("store-neo4j", &["ports", "domain", "store-connection", "tasks"]),
    ("client", &["api", "domain", "sse"]),
    ("control", &["client", "api", "domain", "tasks"]),
    ("control-store", &["control", "domain"]),
    ("http", &["api", "domain", "tasks", "sse"]),
    ("console", &["control", "api", "http", "domain", "tasks", "sse"]),
    ("server", &["memory", "api", "http", "ports", "domain", "tasks", "sse"]),
    (
        "instance",
        &[
            "server",
            "http",
            "memory",
            "ports",
            "domain",
            "embed",
            "llm",
            "store-sqlite",
            "store-postgres",
            "store-neo4j",
            "tasks",
        ],
    ),
    (
        "memcloud",
        &[
            "api",
            "client",
            "console",
            "control",
            "http",
            "control-store",
            "instance",
            "server",
            "memory",
            "ports",
            "domain",
            "embed",
            "llm",
            "tasks",
        ],
    ),
    ("store-tests", &["memory", "ports", "domain"]),
    (
        "xtask",
        &[
            "memory",
            "ports",
            "domain",
            "embed",
            "llm",
            "store-sqlite",
            "store-postgres",
            "store-neo4j",
            "kernels",
            "test-servers",
            "hostile-cloud",
            "fake-llm",
            "api",
            "client",
            "sse",
        ],
    ),
];

/// What this crate may depend on; `None` for a crate that has no place yet.
fn may_use(krate: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(name, _)| *name == krate).map(|(_, allowed)| *allowed)
}

/// Every arrow that points the wrong way.
pub(super) fn violations() -> Result<Vec<String>> {
    let metadata = metadata()?;
    Ok(wrong(metadata["packages"].as_array().context("cargo metadata lists no packages")?))
}

fn wrong(packages: &[Value]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        let krate = short(&package["name"]);
        let Some(allowed) = may_use(krate) else {
            violations.push(format!(
                "crate '{krate}' has no place in the arrows: give it one in xtask/src/check/arrows.rs"
            ));
            continue;
        };
        // A dependency inside the workspace is one that has a path.
        let used = package["dependencies"].as_array().into_iter().flatten();
        for used in used.filter(|used| used["path"].is_string() && used["kind"] != "dev") {
            let used = short(&used["name"]);
            if !allowed.contains(&used) {
                violations.push(format!("'{krate}' may not depend on '{used}', only on {allowed:?}"));
            }
        }
    }
    violations
}

fn short(name: &Value) -> &str {
    let name = name.as_str().unwrap_or_default();
    name.strip_prefix(PREFIX).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, used: &str, kind: Option<&str>) -> Value {
        json!({"name": name, "dependencies": [{"name": used, "kind": kind, "path": "/there"}]})
    }

    #[test]
    fn the_server_may_use_the_memory_but_no_engine() {
        assert!(wrong(&[package("memcloud-server", "memcloud-memory", None)]).is_empty());
        assert_eq!(wrong(&[package("memcloud-server", "memcloud-store-sqlite", None)]).len(), 1);
        assert!(wrong(&[package("memcloud-server", "memcloud-store-sqlite", Some("dev"))]).is_empty());
    }

    #[test]
    fn an_unknown_crate_must_be_given_a_place() {
        assert_eq!(wrong(&[package("memcloud-surprise", "memcloud-domain", None)]).len(), 1);
    }
}
