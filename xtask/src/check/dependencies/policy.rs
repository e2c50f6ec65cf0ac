//! deny.toml: licenses, banned crates, two versions of one crate, and where crates come from.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use super::{Graph, Package};

/// The parts of deny.toml that can be checked without network access. `cargo deny` knows more.
#[derive(Deserialize)]
pub(super) struct Policy {
    pub(super) graph: Platforms,
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
pub(super) struct Platforms {
    pub(super) targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
    skip: Vec<Skip>,
}

/// A crate that must not be used, except by its wrappers.
#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

/// A version that may exist together with another one: `name@version`, where the version may be shortened.
#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

impl Policy {
    pub(super) fn violations(&self, graph: &Graph) -> Result<Vec<String>> {
        let foreign = || graph.packages.values().filter(|package| package.source.is_some());
        let mut violations = Vec::new();
        for package in foreign() {
            violations.extend(self.license(package)?);
            violations.extend(self.ban(package, graph));
            violations.extend(source(package));
        }
        violations.extend(self.duplicates(foreign()));
        Ok(violations)
    }

    fn license(&self, package: &Package) -> Result<Option<String>> {
        let shown = package.license.as_deref().unwrap_or_default();
        let parsed = Expression::parse_mode(shown, ParseMode::LAX).with_context(|| {
            format!("{} {} has no license that can be read", package.name, package.version)
        })?;
        let allowed = parsed.evaluate(|wanted| {
            let id = wanted.license.id().map(|id| id.name);
            id.is_some_and(|id| self.licenses.allow.iter().any(|allowed| allowed == id))
        });
        let violation =
            || format!("{} {}: license '{shown}' is not allowed by deny.toml", package.name, package.version);
        Ok((!allowed).then(violation))
    }

    fn ban(&self, package: &Package, graph: &Graph) -> Vec<String> {
        let bans = self.bans.deny.iter().filter(|ban| ban.name == package.name);
        bans.flat_map(|ban| {
            let users = graph.users_of(package).into_iter();
            let wrong = users.filter(|user| !ban.wrappers.iter().any(|wrapper| wrapper == user));
            wrong
                .map(|user| format!("{user} uses {}, which deny.toml bans: {}", ban.name, ban.reason))
                .collect::<Vec<_>>()
        })
        .collect()
    }

    fn duplicates<'a>(&self, packages: impl Iterator<Item = &'a Package>) -> Vec<String> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in packages.filter(|package| !self.bans.skip.iter().any(|skip| skip.covers(package))) {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
        several
            .map(|(name, versions)| {
                format!(
                    "{name} has several versions ({}): use one, or give a reason in deny.toml",
                    versions.join(", ")
                )
            })
            .collect()
    }
}

impl Skip {
    fn covers(&self, package: &Package) -> bool {
        let (name, version) = self.spec.split_once('@').unwrap_or((&self.spec, ""));
        let rest = package.version.strip_prefix(version);
        !self.reason.is_empty()
            && name == package.name
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Crates come from the registry, except those of the workspace.
fn source(package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    (!source.starts_with("registry+"))
        .then(|| format!("{} {} comes from {source}, not from the registry", package.name, package.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, license: &str, source: &str) -> Package {
        serde_json::from_value(serde_json::json!({
            "id": format!("{name}@{version}"), "name": name, "version": version, "license": license, "source": source,
            "manifest_path": "", "authors": [], "dependencies": [],
        }))
        .unwrap()
    }

    fn violations(packages: &[Package], uses: &[(&str, &str)]) -> Vec<String> {
        let policy: Policy = toml::from_str(
            "[graph]\ntargets = []\n[licenses]\nallow = ['MIT', 'Unicode-3.0']\n[bans]\n\
             deny = [{ crate = 'openssl', wrappers = ['good'], reason = 'rustls' }]\n\
             skip = [{ crate = 'rand@0.9', reason = 'old' }]\n",
        )
        .unwrap();
        let mut graph = Graph::default();
        for package in packages {
            graph.packages.insert(package.id.clone(), package.clone());
        }
        for (user, used) in uses {
            graph.users.entry((*used).to_owned()).or_default().insert((*user).to_owned());
        }
        policy.violations(&graph).unwrap()
    }

    const REGISTRY: &str = "registry+somewhere";

    #[test]
    fn a_license_must_be_allowed() {
        assert!(violations(&[package("a", "1.0.0", "GPL-3.0/MIT", REGISTRY)], &[]).is_empty());
        assert!(
            violations(&[package("a", "1.0.0", "(MIT OR GPL-3.0) AND Unicode-3.0", REGISTRY)], &[])
                .is_empty()
        );
        assert_eq!(violations(&[package("a", "1.0.0", "MIT AND GPL-3.0", REGISTRY)], &[]).len(), 1);
    }

    #[test]
    fn a_banned_crate_is_for_its_wrappers_only() {
        let packages = ["openssl", "good", "bad"].map(|name| package(name, "1.0.0", "MIT", REGISTRY));
        assert!(violations(&packages, &[("good@1.0.0", "openssl@1.0.0")]).is_empty());
        assert_eq!(violations(&packages, &[("bad@1.0.0", "openssl@1.0.0")]).len(), 1);
    }

    #[test]
    fn a_second_version_needs_a_reason() {
        let two = |name| ["0.9.5", "0.10.1"].map(|version| package(name, version, "MIT", REGISTRY));
        assert!(violations(&two("rand"), &[]).is_empty());
        assert_eq!(violations(&two("syn"), &[]).len(), 1);
    }

    #[test]
    fn crates_come_from_the_registry() {
        assert_eq!(violations(&[package("a", "1.0.0", "MIT", "git+https://there")], &[]).len(), 1);
    }
}
