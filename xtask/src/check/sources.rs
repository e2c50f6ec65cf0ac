//! The files of the project that the checks read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::steps::root;

/// The folders that hold sources and documents.
const FOLDERS: [&str; 5] = ["crates", "docs", "examples", "xtask", ".github"];

/// A file with its path from the root of the workspace.
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// All files with one of these extensions, sorted by path: those in the root folder and those below [`FOLDERS`].
pub(super) fn with_extensions(extensions: &[&str]) -> Result<Vec<SourceFile>> {
    let root = root();
    let mut paths = Vec::new();
    let top = fs::read_dir(&root)?.collect::<Result<Vec<_>, _>>()?;
    paths.extend(top.into_iter().map(|entry| entry.path()).filter(|path| path.is_file()));
    for folder in FOLDERS.map(|folder| root.join(folder)).iter().filter(|folder| folder.exists()) {
        collect(folder, &mut paths)?;
    }
    paths.retain(|path| path.extension().is_some_and(|has| extensions.iter().any(|wanted| has == *wanted)));
    paths.sort();
    paths.iter().map(|path| read(&root, path)).collect()
}

fn read(root: &Path, path: &Path) -> Result<SourceFile> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(SourceFile { path: path.strip_prefix(root).unwrap_or(path).to_owned(), text })
}

/// Adds the files below a folder, except what a build or a package manager left there.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let generated = path.file_name().is_some_and(|name| name == "target" || name == "node_modules");
        if path.is_dir() && !generated {
            collect(&path, paths)?;
        } else if path.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}
