//! Folders that are made once and kept.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};

use crate::steps::note;

/// The file that says what a folder was made of.
const MARKER: &str = "made-of.txt";

/// Runs `work` while no other run works in the same folder.
pub(crate) fn alone<T>(folder: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join("lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if lock.try_lock().is_err() {
        note("waiting for another run that prepares the same folder");
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    work()
}

/// Makes a folder, unless it exists and was made of the same. The folder appears when it is complete, or not at all.
pub(crate) fn make(folder: &Path, made_of: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if fs::read_to_string(folder.join(MARKER)).is_ok_and(|found| found == made_of) {
        return Ok(());
    }
    note(&format!("fetching {made_of}"));
    let unfinished = folder.with_extension("unfinished");
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
    make(&unfinished)?;
    fs::write(unfinished.join(MARKER), made_of).context("cannot write a marker")?;
    remove(folder)?;
    fs::rename(&unfinished, folder).with_context(|| format!("cannot rename {}", unfinished.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_again_when_it_is_outdated_or_incomplete() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("things");
        let mut made = 0;
        let mut make = |made_of: &str| {
            super::make(&folder, made_of, |unfinished| {
                made += 1;
                assert!(!unfinished.join("thing").exists(), "left from a try before");
                fs::write(unfinished.join("thing"), made_of)?;
                anyhow::ensure!(made_of != "bad", "half made");
                Ok(())
            })
        };
        make("1").unwrap();
        make("1").unwrap();
        assert!(make("bad").is_err());
        make("1").unwrap();
        make("2").unwrap();
        assert_eq!((made, fs::read_to_string(folder.join("thing")).unwrap().as_str()), (3, "2"));
    }
}
