//! The modules of a crate, and which of them use which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::graph::Edges;
use super::imports::{Mention, mentions};
use crate::check::sources::SourceFile;

/// How many re-exports of re-exports are followed.
const MAX_HOPS: usize = 8;

/// The folder of the crate root that a file belongs to: `src`, or the folder of a test's `main.rs`. `None` for a file
/// that is a whole crate by itself.
pub(super) fn root_of(file: &Path) -> Option<PathBuf> {
    let parts: Vec<&str> = file.components().filter_map(|part| part.as_os_str().to_str()).collect();
    let at = parts.iter().position(|part| *part == "src" || *part == "tests" || *part == "benches")?;
    let depth = if parts[at] == "src" { at + 1 } else { at + 2 };
    (parts.len() > depth).then(|| parts[..depth].iter().collect())
}

/// The modules of one crate. A module is known by the index of its file.
pub(super) struct Modules {
    by_path: BTreeMap<Vec<String>, usize>,
    paths: Vec<Vec<String>>,
    mentions: Vec<Vec<Mention>>,
}

impl Modules {
    pub(super) fn read(root: &Path, sources: &[SourceFile]) -> Self {
        let paths: Vec<Vec<String>> = sources.iter().map(|source| module_path(root, &source.path)).collect();
        let by_path = paths.iter().cloned().enumerate().map(|(at, path)| (path, at)).collect();
        Self { by_path, paths, mentions: sources.iter().map(|source| mentions(&source.text)).collect() }
    }

    /// Which module uses which. A module that uses what its parent defines does not count as an edge: builder and parent are one thing
    /// in several files.
    pub(super) fn edges(&self) -> Edges {
        (0..self.paths.len())
            .map(|at| {
                let mentions = self.mentions[at].iter();
                let used = mentions.filter_map(|mention| {
                    let used = self.target(&self.absolute(at, &mention.path)?, MAX_HOPS)?;
                    let is_re_export = mention.public && self.paths[used].starts_with(&self.paths[at]);
                    let is_ancestor = self.paths[at].starts_with(&self.paths[used]);
                    (!is_ancestor && !is_re_export).then_some(used)
                });
                used.collect::<BTreeSet<_>>()
            })
            .collect()
    }

    /// The path from the crate's root. `None` for what is not of this crate.
    fn absolute(&self, at: usize, path: &[String]) -> Option<Vec<String>> {
        let here = &self.paths[at];
        let ups = path.iter().take_while(|name| *name == "super").count();
        match path.first().map(String::as_str)? {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([here, &path[1..]].concat()),
            "super" => Some([&here[..here.len().checked_sub(ups)?], &path[ups..]].concat()),
            _ => {
                let child = [here, &path[..1]].concat();
                self.by_path.contains_key(&child).then(|| [here, path].concat())
            }
        }
    }

    /// The module that an absolute path names, through re-exports.
    fn target(&self, path: &[String], hops: usize) -> Option<usize> {
        let (length, at) =
            (0..=path.len()).rev().find_map(|length| Some((length, *self.by_path.get(&path[..length])?)))?;
        let Some(name) = path.get(length).filter(|_| hops > 0) else { return Some(at) };
        let re_export = self.mentions[at].iter().find(|mention| mention.name.as_ref() == Some(name));
        match re_export.and_then(|mention| self.absolute(at, &mention.path)) {
            Some(origin) => self.target(&[&origin, &path[length + 1..]].concat(), hops - 1),
            None => Some(at),
        }
    }
}

/// `src/a/mod.rs` and `src/a.rs` are `[a]`, `src/lib.rs` is `[]`.
fn module_path(root: &Path, file: &Path) -> Vec<String> {
    let inner = file.strip_prefix(root).unwrap_or(file).with_extension("");
    let mut path: Vec<String> =
        inner.components().filter_map(|part| part.as_os_str().to_str()).map(str::to_owned).collect();
    if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        path.pop();
    }
    path
}
