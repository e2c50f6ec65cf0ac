//! The manifests of the workspace: a dependency is declared once, in the root, and is used where it is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Package;
use crate::check::sources::{SourceFile, with_extensions};

/// Every dependency that is declared in the wrong place, or not used.
pub(super) fn violations(root: &Path, members: &[Package]) -> Result<Vec<String>> {
    let sources = with_extensions(&["rs"])?;
    let mut violations = Vec::new();
    for member in members {
        let manifest = manifest(&member.folder().join("Cargo.toml"))?;
        violations.extend(elsewhere(&member.name, &manifest));
        let folder = member.folder().strip_prefix(root).unwrap_or(member.folder());
        violations.extend(unused(member, sources.iter().filter(|source| source.path.starts_with(folder))));
    }
    violations.extend(idle(&manifest(&root.join("Cargo.toml"))?, members));
    Ok(violations)
}

fn manifest(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("{} is not TOML", path.display()))
}

/// Dependencies with a version or path of their own instead of `workspace = true`.
fn elsewhere(member: &str, manifest: &Table) -> Vec<String> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    let declared = tables
        .flat_map(|table| sections.iter().filter_map(|section| table.get(*section)?.as_table()))
        .flatten();
    let own = declared.filter(|(_, value)| value.get("workspace").and_then(Value::as_bool) != Some(true));
    own.map(|(name, _)| format!("{member} declares {name} itself: declare it in the root's Cargo.toml"))
        .collect()
}

/// Dependencies whose name occurs nowhere in the sources. What is needed only for its features is named in
/// `package.metadata.cargo-machete.ignored`, which `cargo machete` reads as well.
fn unused<'a>(member: &Package, sources: impl Iterator<Item = &'a SourceFile>) -> Vec<String> {
    let names: BTreeSet<&str> =
        sources.flat_map(|source| source.text.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
    let ignored = member.metadata["cargo-machete"]["ignored"].as_array().cloned().unwrap_or_default();
    let mut violations = Vec::new();
    for dependency in &member.dependencies {
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
        if !names.contains(name.replace('-', "_").as_str())
            && !ignored.iter().any(|ignored| ignored == name.as_str())
        {
            violations.push(format!("{} does not use {name}: remove it from its Cargo.toml", member.name));
        }
    }
    violations.dedup();
    violations
}

/// Dependencies of the workspace that no crate of it has.
fn idle(manifest: &Table, members: &[Package]) -> Vec<String> {
    let declared = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies")?.as_table());
    let used: BTreeSet<&str> = members
        .iter()
        .flat_map(|member| &member.dependencies)
        .map(|dependency| dependency.rename.as_ref().unwrap_or(&dependency.name).as_str())
        .collect();
    let idle = declared.into_iter().flat_map(Table::keys).filter(|name| !used.contains(name.as_str()));
    idle.map(|name| format!("no crate uses {name}: remove it from the root's Cargo.toml")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_belong_in_the_root_manifest() {
        let manifest: Table = "[dependencies]\na.workspace = true\nb = '1.0'\n[target.'cfg(unix)'.dev-dependencies]\nc = { path = '.' }"
            .parse()
            .unwrap();
        assert_eq!(elsewhere("x", &manifest).len(), 2);
    }

    #[test]
    fn a_dependency_must_be_used() {
        let member: Package = serde_json::from_value(serde_json::json!({
            "id": "x", "name": "x", "version": "1.0.0", "license": null, "source": null, "manifest_path": "", "authors": [],
            "dependencies": [{"name": "serde-json", "rename": null}, {"name": "idle", "rename": null}, {"name": "quiet", "rename": null}],
            "metadata": {"cargo-machete": {"ignored": ["quiet"]}},
        }))
        .unwrap();
        let source = SourceFile { path: "src/lib.rs".into(), text: "use serde_json::Value;".to_owned() };
        assert_eq!(
            unused(&member, [&source].into_iter()),
            ["x does not use idle: remove it from its Cargo.toml"]
        );
    }
}
