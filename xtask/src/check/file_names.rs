//! Names of files and folders that say nothing.

use std::path::Path;

use anyhow::Result;

use super::sources::with_extensions;

const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "manager"];

/// Every source file with an empty name in its path.
pub(super) fn violations() -> Result<Vec<String>> {
    Ok(with_extensions(&["rs"])?.iter().filter_map(|source| violation(&source.path)).collect())
}

fn violation(path: &Path) -> Option<String> {
    let mut names = path.components().filter_map(|part| Path::new(part.as_os_str()).file_stem()?.to_str());
    let name = names.find(|name| EMPTY_NAMES.contains(name))?;
    Some(format!("{}: '{name}' says nothing; name it after what it is about", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_names_are_refused() {
        assert!(violation(Path::new("crates/memory/src/utils.rs")).is_some());
        assert!(violation(Path::new("crates/memory/src/helpers/mod.rs")).is_some());
        assert!(violation(Path::new("crates/memory/src/store.rs")).is_none());
    }
}
