//! Cycles between the files of a crate: files that can only be understood together.
//!
//! The paths of a file (`use crate::a::b`, `super::c::d`, `child::e()`) are resolved to the files they name. What a
//! file re-exports counts for the file it comes from: `use crate::Store` points at the file of `Store`, and a `pub
//! use` of a child does not count as an edge.

mod graph;
mod imports;
mod modules;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::sources::{SourceFile, with_extensions};

/// Cycles that may stay, each with its reason. A path is a file or a folder with everything in it.
const HARMLESS: &[(&[&str], &str)] = &[
    (
        &["crates/memcloud/src/cli.rs", "crates/memcloud/src/commands/completions.rs"],
        "a command prints what clap knows about the whole command line",
    ),
    (&["crates/test-servers/src/postgres"], "a builder and what it builds"),
    (&["crates/test-servers/src/neo4j"], "a builder and what it builds"),
];

/// Every cycle that has no reason.
pub(super) fn violations() -> Result<Vec<String>> {
    let mut roots: BTreeMap<PathBuf, Vec<SourceFile>> = BTreeMap::new();
    for source in with_extensions(&["rs"])? {
        if let Some(root) = modules::root_of(&source.path) {
            roots.entry(root).or_default().push(source);
        }
    }
    Ok(roots.iter().flat_map(|(root, sources)| of_root(root, sources)).collect())
}

/// The cycles between the files below one crate root.
fn of_root(root: &Path, sources: &[SourceFile]) -> Vec<String> {
    let crate_modules = modules::Modules::read(root, sources);
    let cycles = graph::cycles(&crate_modules.edges());
    let files =
        cycles.into_iter().map(|cycle| cycle.into_iter().map(|at| &sources[at].path).collect::<Vec<_>>());
    files.filter(|files| !is_harmless(files)).map(|files| shown(&files)).collect()
}

fn is_harmless(files: &[&PathBuf]) -> bool {
    HARMLESS
        .iter()
        .any(|(covered, _)| files.iter().all(|file| covered.iter().any(|path| file.starts_with(path))))
}

fn shown(files: &[&PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    format!("cycle: {}", files.join(" <-> "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, text): &(&str, &str)| SourceFile {
            path: Path::new("x/src").join(path),
            text: (*text).to_owned(),
        };
        of_root(Path::new("x/src"), &files.iter().map(source).collect::<Vec<_>>())
    }

    #[test]
    fn two_files_that_use_each_other_are_a_cycle() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "fn f() { super::a::g() }"),
        ]);
        assert_eq!(found, ["cycle: x/src/a.rs <-> x/src/b.rs"]);
    }

    #[test]
    fn a_one_way_dependency_is_not_a_cycle() {
        assert!(
            cycles(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "")]).is_empty()
        );
    }

    #[test]
    fn a_re_export_counts_for_the_file_it_comes_from() {
        let lib = "mod a; mod b; pub use a::A; pub use b::{B, C as D};";
        assert!(cycles(&[("lib.rs", lib), ("a.rs", "use crate::D;"), ("b.rs", "")]).is_empty());
        assert_eq!(
            cycles(&[("lib.rs", lib), ("a.rs", "use crate::{D};"), ("b.rs", "use crate::A;")]).len(),
            1
        );
    }

    #[test]
    fn a_parent_and_the_child_that_needs_it_are_one_thing() {
        let builder = [("lib.rs", "mod a; struct P; fn f() { a::g() }"), ("a.rs", "use super::P;")];
        assert!(cycles(&builder).is_empty());
        let lib = ("lib.rs", "mod a; mod b;");
        let files = [
            lib,
            ("a/mod.rs", "mod c; fn f() { c::g() }"),
            ("a/c.rs", "use crate::b::B;"),
            ("b.rs", "use crate::a::A;"),
        ];
        assert_eq!(cycles(&files).len(), 1);
    }

    #[test]
    fn comments_texts_and_unit_tests_do_not_count() {
        let b =
            "// crate::a::X\nconst T: &str = \"crate::a::X\";\n#[cfg(test)]\nmod tests { use crate::a::X; }";
        assert!(cycles(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", b)]).is_empty());
    }
}
