//! The file by which a process of an instance is known.
//!
//! The process locks the file and holds the lock until it ends, however it ends: the kernel releases it. So a second process
//! with the same file can never run, and whether the process lives is a question to the kernel, which also says its number.
//! A number that is only written down might be that of another process by now.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};
use serde::{Deserialize, Serialize};

/// What a process writes into its file once it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its number.
    pub pid: u32,
    /// Where it listens.
    pub url: String,
    /// The version of its program.
    pub version: String,
}

/// The hold of a process on its file. No other part of the process may open the file: closing any descriptor of it would
/// release the lock.
#[derive(Debug)]
pub struct ProcessClaim(File);

impl ProcessClaim {
    /// Takes the file, which is made when it is missing. `None` if another process has it.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::ACCESS | Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // What the process before this one wrote.
        file.set_len(0)?;
        Ok(Some(Self(file)))
    }

    /// Says that this process listens at this address.
    pub fn announce(&self, url: &str, version: &str) -> io::Result<()> {
        let (url, version) = (url.to_owned(), version.to_owned());
        let record = ProcessRecord { pid: std::process::id(), url, version };
        self.0.write_all_at(&serde_json::to_vec(&record)?, 0)
    }
}

/// The process that holds this file, if one does.
pub(super) fn holder(path: &Path) -> io::Result<Option<Pid>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))? {
        None => Ok(None),
        Some(Flock { pid: Some(pid), .. }) => Ok(Some(pid)),
        Some(_) => Err(io::Error::other("a process that cannot be seen from here holds it")),
    }
}

/// What the process that holds this file has written; `None` before it listens.
pub(super) fn record(path: &Path) -> Option<ProcessRecord> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_process_holds_names_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("process.json");
        assert_eq!(holder(&path).unwrap(), None);
        assert_eq!(record(&path), None);
        let claim = ProcessClaim::take(&path).unwrap().unwrap();
        claim.announce("http://127.0.0.1:8081", "0.1.0").unwrap();
        let written = record(&path).unwrap();
        assert_eq!((written.pid, written.url.as_str()), (std::process::id(), "http://127.0.0.1:8081"));
        drop(claim);
        let again = ProcessClaim::take(&path).unwrap().unwrap();
        assert_eq!(
            record(&path),
            None,
            "what an earlier process wrote is gone as soon as another one holds the file"
        );
        drop(again);
        assert_eq!(holder(&path).unwrap(), None);
    }
}
