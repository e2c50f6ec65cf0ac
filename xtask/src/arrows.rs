//! The arrows between crates: who may use whom.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::steps::{metadata, say};

const PREFIX: &str = "memcloud-";

/// What a crate of the workspace may depend on, beside what its tests need. `None` for a crate that is not known.
///
/// The server and the memory know no engine: only the binary names one.
fn may_use(krate: &str) -> Option<&'static [&'static str]> {
    Some(match krate {
        "domain" | "kernels" | "test-servers" | "fake-llm" => &[],
        "store-connection" => &["domain"],
        "ports" => &["domain"],
        "memory" => &["ports", "domain", "kernels"],
        "store-tests" => &["memory", "ports", "domain"],
        "embed" => &["ports", "domain", "kernels"],
        "server" => &["memory", "ports", "domain"],
        "llm" => &["ports", "domain"],
        engine if engine.starts_with("store-") => &["ports", "domain", "store-connection"],
        "memcloud" => &[
            "server",
            "memory",
            "ports",
            "domain",
            "embed",
            "llm",
            "store-sqlite",
            "store-postgres",
            "store-neo4j",
            "fake-llm",
        ],
        // Not part of the product: it builds, tests and measures all of it.
        "xtask" => &[
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
            "fake-llm",
        ],
        _ => return None,
    })
}

/// Whether every arrow points the right way.
pub(crate) fn hold() -> Result<bool> {
    let metadata = metadata()?;
    let wrong = violations(metadata["packages"].as_array().context("cargo metadata lists no packages")?);
    for violation in &wrong {
        say(violation);
    }
    Ok(wrong.is_empty())
}

fn violations(packages: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let krate = short(&package["name"]);
        let Some(allowed) = may_use(krate) else {
            wrong.push(format!(
                "crate '{krate}' has no place in the arrows: give it one in xtask/src/arrows.rs"
            ));
            continue;
        };
        // A dependency inside the workspace is one that has a path.
        let used = package["dependencies"].as_array().into_iter().flatten();
        for used in used.filter(|used| used["path"].is_string() && used["kind"] != "dev") {
            let used = short(&used["name"]);
            if !allowed.contains(&used) {
                wrong.push(format!("'{krate}' may not depend on '{used}', only on {allowed:?}"));
            }
        }
    }
    wrong
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
        assert!(violations(&[package("memcloud-server", "memcloud-memory", None)]).is_empty());
        assert_eq!(violations(&[package("memcloud-server", "memcloud-store-sqlite", None)]).len(), 1);
        assert!(violations(&[package("memcloud-server", "memcloud-store-sqlite", Some("dev"))]).is_empty());
    }

    #[test]
    fn an_unknown_crate_must_be_given_a_place() {
        assert_eq!(violations(&[package("memcloud-surprise", "memcloud-domain", None)]).len(), 1);
    }
}
