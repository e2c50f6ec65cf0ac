//! The licenses of the crates in the binary, as they are handed on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use spdx::{Expression, ParseMode};

use super::{Graph, Package};
use crate::steps::root;

/// The file, beside the binary and in the root of the repository.
pub(super) const FILE: &str = "THIRD-PARTY-LICENSES.txt";
/// Crates that may be used under it need no text of their own: `LICENSE` has it.
const OURS: &str = "Apache-2.0";
const HEAD: &str = "Licenses of third parties

The program memcloud contains these crates, and the standard library of Rust (MIT OR Apache-2.0). Each has its version, its
license as an SPDX expression, and the texts that apply: [Apache-2.0] is the file LICENSE, numbers are below. SQLite, which
libsqlite3-sys contains, is in the public domain.

'cargo xtask licenses' writes this file.
";

/// How the file differs from what it should be.
pub(super) fn violations(graph: &Graph) -> Result<Vec<String>> {
    let current = fs::read_to_string(root().join(FILE)).unwrap_or_default();
    let stale = format!("{FILE} is not current: run 'cargo xtask licenses'");
    Ok(if current == text(graph)? { Vec::new() } else { vec![stale] })
}

/// The file as it should be.
pub(super) fn text(graph: &Graph) -> Result<String> {
    let (mut numbers, mut texts) = (BTreeMap::new(), Vec::new());
    let mut file = HEAD.to_owned();
    for package in graph.in_binary() {
        let license = package.license.as_deref().unwrap_or_default();
        write!(file, "\n{} {}: {license}", package.name, package.version)?;
        for text in license_texts(package)? {
            let Some(text) = text else {
                write!(file, " [{OURS}]")?;
                continue;
            };
            let number = *numbers.entry(text.clone()).or_insert_with(|| {
                texts.push(text);
                texts.len()
            });
            write!(file, " [{number}]")?;
        }
    }
    for (text, number) in texts.iter().zip(1..) {
        write!(file, "\n\n{:-<100}\n[{number}]\n\n{text}", "")?;
    }
    file.push('\n');
    Ok(file)
}

/// The texts under which a crate is used; `None` for our own license.
fn license_texts(package: &Package) -> Result<Vec<Option<String>>> {
    let license = package.license.as_deref().unwrap_or_default();
    let expression = Expression::parse_mode(license, ParseMode::LAX)
        .with_context(|| format!("{} {} has no license that can be read", package.name, package.version))?;
    let allows = |one: &str| expression.evaluate(|asked| asked.license.id().is_some_and(|id| id.name == one));
    let mut files = license_files(package.folder(), if package.name.ends_with("-sys") { 3 } else { 0 })?;
    if allows(OURS) {
        files.retain(|file| name(file).starts_with("notice"));
    } else if allows("MIT") && files.iter().any(|file| name(file).contains("mit")) {
        files.retain(|file| name(file).contains("mit"));
    }
    let mut texts: Vec<Option<String>> = if allows(OURS) { vec![None] } else { Vec::new() };
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines: Vec<&str> = text.trim_matches(['\n', '\r']).lines().map(str::trim_end).collect();
        let text = Some(lines.join("\n"));
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        let (_, standard) = spdx::text::LICENSE_TEXTS
            .iter()
            .find(|(name, _)| *name == license)
            .with_context(|| format!("{} has no license file", package.name))?;
        let authors = package.authors.join(", ");
        texts.push(Some(format!("{}\nof {}: {authors}", standard.trim_end(), package.repository())));
    }
    Ok(texts)
}

/// The files of a folder that are licenses, and of folders so deep below it.
fn license_files(folder: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && depth > 0 {
            files.extend(license_files(&path, depth - 1)?);
        } else if path.is_file()
            && ["license", "licence", "unlicense", "copying", "copyright", "notice"]
                .iter()
                .any(|begin| name(&path).starts_with(begin))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

impl Graph {
    /// The crates of others that the binary contains, on any platform, by name.
    fn in_binary(&self) -> Vec<&Package> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> =
            self.members.iter().filter(|member| member.name == "memcloud").map(|member| &member.id).collect();
        while let Some(id) = next.pop() {
            if reached.insert(id) {
                next.extend(self.built_in.get(id).into_iter().flatten());
            }
        }
        let packages = reached.into_iter().filter_map(|id| self.packages.get(id));
        let mut packages: Vec<&Package> = packages.filter(|package| package.source.is_some()).collect();
        packages.sort_by_key(|package| (&package.name, &package.version));
        packages
    }
}

impl Package {
    fn repository(&self) -> &str {
        self.repository.as_deref().unwrap_or(&self.name)
    }
}
