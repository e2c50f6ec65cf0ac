//! Rules that no compiler checks: where unsafe code may stand, and names that say nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::steps::{root, say};

/// The one place for unsafe code.
const UNSAFE_PLACE: &str = "crates/kernels";
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "manager"];

/// Whether the rules are kept.
pub(crate) fn hold() -> Result<bool> {
    let root = root();
    let mut sources = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut sources)?;
    }
    let mut wrong = Vec::new();
    for path in &sources {
        let place = path.strip_prefix(&root).unwrap_or(path);
        wrong.extend(broken_rules(place, &fs::read_to_string(path)?));
    }
    for rule in &wrong {
        say(rule);
    }
    Ok(wrong.is_empty())
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

fn broken_rules(place: &Path, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let names = place.components().filter_map(|part| Path::new(part.as_os_str()).file_stem()?.to_str());
    if let Some(name) = names.into_iter().find(|name| EMPTY_NAMES.contains(name)) {
        wrong.push(format!("{}: '{name}' says nothing; name it after what it is about", place.display()));
    }
    if !place.starts_with(UNSAFE_PLACE) {
        let lines = text.lines().enumerate().filter(|(_, line)| is_unsafe(line));
        wrong.extend(
            lines.map(|(n, _)| format!("{}:{}: unsafe outside {UNSAFE_PLACE}", place.display(), n + 1)),
        );
    }
    wrong
}

fn is_unsafe(line: &str) -> bool {
    // Apart from what follows it, so that this line is not found itself.
    const WORD: &str = "unsafe";
    let code = line.split("//").next().unwrap_or_default();
    ["{", "fn ", "impl ", "extern ", "trait "].iter().any(|after| code.contains(&format!("{WORD} {after}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_stands_in_one_place_only() {
        let code = ["unsafe", " { x() }"].concat();
        assert_eq!(broken_rules(Path::new("crates/memory/src/lib.rs"), &code).len(), 1);
        assert!(broken_rules(Path::new("crates/kernels/src/lib.rs"), &code).is_empty());
        assert!(broken_rules(Path::new("crates/memory/src/lib.rs"), &format!("// {code}")).is_empty());
    }

    #[test]
    fn names_must_say_something() {
        assert_eq!(broken_rules(Path::new("crates/memory/src/utils.rs"), "").len(), 1);
        assert_eq!(broken_rules(Path::new("crates/memory/src/helpers/mod.rs"), "").len(), 1);
        assert!(broken_rules(Path::new("crates/memory/src/store.rs"), "").is_empty());
    }
}
