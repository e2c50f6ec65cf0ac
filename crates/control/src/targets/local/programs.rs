//! The programs that instances run: copies of memcloud, each named by its hash.
//!
//! An instance stays on its program until it is upgraded, whatever happens to the file that the program was copied from.

use std::fmt;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

/// The name of every program in its folder, which lists of processes show.
const FILE: &str = "memcloud";
/// How many bytes of the hash name a program.
const ID_BYTES: usize = 6;
const PART: usize = 128 << 10;

/// Names a program: the first twelve hexadecimal digits of its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProgramId(Box<str>);

/// Not the name of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a program has {} hexadecimal digits", 2 * ID_BYTES)]
pub struct InvalidProgramId;

impl FromStr for ProgramId {
    type Err = InvalidProgramId;

    fn from_str(text: &str) -> Result<Self, InvalidProgramId> {
        match HEXLOWER.decode(text.as_bytes()) {
            Ok(bytes) if bytes.len() == ID_BYTES => Ok(Self(text.into())),
            _ => Err(InvalidProgramId),
        }
    }
}

impl TryFrom<String> for ProgramId {
    type Error = InvalidProgramId;

    fn try_from(text: String) -> Result<Self, InvalidProgramId> {
        text.parse()
    }
}

impl From<ProgramId> for String {
    fn from(id: ProgramId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for ProgramId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder of the copies.
#[derive(Clone, Debug)]
pub(super) struct Programs(PathBuf);

impl Programs {
    pub(super) fn new(console_data: &Path) -> Self {
        Self(console_data.join("programs"))
    }

    pub(super) fn path(&self, id: &ProgramId) -> PathBuf {
        self.0.join(&*id.0).join(FILE)
    }

    /// Copies the program of this process, unless it is there. Blocks.
    pub(super) fn keep_running(&self) -> io::Result<ProgramId> {
        // Where the file was replaced, this still is the program that runs.
        let running = Path::new("/proc/self/exe");
        let program = if running.exists() { running.to_owned() } else { std::env::current_exe()? };
        self.keep(&program)
    }

    /// Copies a program, unless it is there. Blocks.
    pub(super) fn keep(&self, program: &Path) -> io::Result<ProgramId> {
        let mut source = File::open(program)?;
        let id = id_of(&mut source)?;
        let kept = self.path(&id);
        if kept.exists() {
            return Ok(id);
        }
        let folder = self.0.join(&*id.0);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut copy = NamedTempFile::new_in(&folder)?;
        source.seek(SeekFrom::Start(0))?;
        io::copy(&mut source, copy.as_file_mut())?;
        copy.as_file().set_permissions(Permissions::from_mode(0o700))?;
        copy.as_file().sync_all()?;
        // A copy of something else would run under a name that promises this one.
        copy.as_file_mut().seek(SeekFrom::Start(0))?;
        if id_of(copy.as_file_mut())? != id {
            return Err(io::Error::other("the program was changed while it was copied"));
        }
        copy.persist(kept)?;
        Ok(id)
    }

    /// Removes the copies that are not among these. Blocks.
    pub(super) fn remove_others(&self, used: &[ProgramId]) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<ProgramId>().ok());
            if id.is_some_and(|id| !used.contains(&id)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

fn id_of(program: &mut File) -> io::Result<ProgramId> {
    let (mut hash, mut part) = (Sha256::new(), vec![0; PART]);
    loop {
        match program.read(&mut part)? {
            0 => return Ok(ProgramId(HEXLOWER.encode(&hash.finalize()[..ID_BYTES]).into())),
            read => hash.update(&part[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_named_by_its_content_and_stays_when_the_original_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (programs, original) = (Programs::new(dir.path()), dir.path().join("original"));
        fs::write(&original, "one").unwrap();
        let one = programs.keep(&original).unwrap();
        assert_eq!(programs.keep(&original).unwrap(), one);
        fs::write(&original, "two").unwrap();
        let two = programs.keep(&original).unwrap();
        assert_ne!(one, two);
        assert_eq!(fs::read_to_string(programs.path(&one)).unwrap(), "one");
        assert_eq!(fs::metadata(programs.path(&one)).unwrap().permissions().mode() & 0o777, 0o700);
        programs.remove_others(std::slice::from_ref(&two)).unwrap();
        assert!(!programs.path(&one).exists() && programs.path(&two).exists());
    }

    #[test]
    fn only_digits_of_a_hash_name_a_program() {
        assert!("0123456789ab".parse::<ProgramId>().is_ok());
        for text in ["", "..", "0123456789a", "0123456789aB", "../../../bin", "0123456789abcd"] {
            assert!(text.parse::<ProgramId>().is_err(), "{text}");
        }
    }
}
