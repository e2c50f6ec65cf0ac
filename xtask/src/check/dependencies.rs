//! The crates that the project depends on: what deny.toml says about them, and that each is declared once and used.

mod declarations;
mod notices;
mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::steps::{cargo, root};

/// Every dependency that breaks a rule.
pub(super) fn violations() -> Result<Vec<String>> {
    let (policy, graph) = read()?;
    let mut violations = policy.violations(&graph)?;
    violations.extend(declarations::violations(&root(), &graph.members)?);
    violations.extend(notices::violations(&graph)?);
    Ok(violations)
}

/// Writes the licenses of the crates in the binary.
pub(crate) fn write_notices() -> Result<bool> {
    let (_, graph) = read()?;
    fs::write(root().join(notices::FILE), notices::text(&graph)?).context("cannot write the licenses")?;
    Ok(true)
}

fn read() -> Result<(policy::Policy, Graph)> {
    let policy = fs::read_to_string(root().join("deny.toml")).context("cannot read deny.toml")?;
    let policy: policy::Policy = toml::from_str(&policy).context("deny.toml is wrong")?;
    let mut graph = Graph::default();
    for target in &policy.graph.targets {
        graph.add(&Metadata::read(target)?);
    }
    Ok((policy, graph))
}

/// What `cargo metadata` says about one platform.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

/// A crate with the version that Cargo.lock has.
#[derive(Clone, Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    authors: Vec<String>,
    repository: Option<String>,
    /// `None` for a crate of the workspace.
    source: Option<String>,
    manifest_path: String,
    dependencies: Vec<Dependency>,
    #[serde(default)]
    metadata: serde_json::Value,
}

/// A dependency as a manifest declares it.
#[derive(Clone, Debug, Deserialize)]
struct Dependency {
    name: String,
    rename: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
    deps: Vec<Used>,
}

/// A crate that another one uses, and what for.
#[derive(Deserialize)]
struct Used {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` for what is built in; `dev` and `build` otherwise.
    kind: Option<String>,
}

impl Metadata {
    /// Cargo needs the network only for crates that were never downloaded; `CARGO_NET_OFFLINE=true` forbids it.
    fn read(target: &str) -> Result<Self> {
        let args =
            ["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", target];
        let output = cargo(&args).output().context("cannot run cargo")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("cargo metadata answered something unexpected")
    }
}

/// The crates of all platforms together.
#[derive(Default)]
struct Graph {
    /// By id.
    packages: BTreeMap<String, Package>,
    /// For each id the ids of the crates that depend on it.
    users: BTreeMap<String, BTreeSet<String>>,
    /// For each id the ids of the crates that are built into it.
    built_in: BTreeMap<String, BTreeSet<String>>,
    /// The crates of the workspace.
    members: Vec<Package>,
}

impl Graph {
    fn add(&mut self, metadata: &Metadata) {
        for package in &metadata.packages {
            if self.packages.insert(package.id.clone(), package.clone()).is_none() && package.source.is_none()
            {
                self.members.push(package.clone());
            }
        }
        for node in &metadata.resolve.nodes {
            for used in &node.dependencies {
                self.users.entry(used.clone()).or_default().insert(node.id.clone());
            }
            let built_in =
                node.deps.iter().filter(|used| used.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            let built_in = built_in.map(|used| used.pkg.clone());
            self.built_in.entry(node.id.clone()).or_default().extend(built_in);
        }
    }

    /// The names of the crates that depend directly on this one.
    fn users_of(&self, package: &Package) -> BTreeSet<&str> {
        let users = self.users.get(&package.id).into_iter().flatten();
        users.filter_map(|id| Some(self.packages.get(id)?.name.as_str())).collect()
    }
}

impl Package {
    fn folder(&self) -> &Path {
        Path::new(&self.manifest_path).parent().unwrap_or(Path::new("."))
    }
}
