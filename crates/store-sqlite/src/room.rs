//! Room on the disk: the proof that there is some, and a reserve of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use memcloud_domain::Error;
use rustix::fs::{FallocateFlags, StatVfs, fallocate, statvfs};
use rustix::io::Errno;

use crate::error;
use crate::files::open_private;

/// With less free space than this, in bytes, the disk counts as full.
pub(crate) const ROOM: u64 = 128 << 10;

/// Proves that the disk has a little room left. The file has no name, so any number of proofs can run at once.
pub(crate) fn prove(directory: &Path) -> Result<(), Error> {
    let proof = tempfile::tempfile_in(directory).and_then(|file| allocate(&file, ROOM));
    proof.map_err(|error| error::file("checking for free disk space", error))
}

/// Has the file system set this many bytes aside for a file.
fn allocate(mut file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
            file.flush()?;
            file.sync_data()
        }
        allocated => Ok(allocated?),
    }
}

/// Room that is set aside while there is some, and freed for deletions on a full disk: a deletion, too, must be written to
/// the write-ahead log first.
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    is_held: bool,
}

impl Reserve {
    /// The most bytes to set aside: more than the pages of a long message, or what waits in the write-ahead log.
    pub(crate) const BYTES: u64 = 4 << 20;
    /// The share of a small disk.
    const SHARE: u64 = 8;
    /// A disk is low when it has less room than this many reserves.
    const LOW: u64 = 4;

    /// Sets room aside in this file.
    pub(crate) fn take(path: PathBuf) -> Self {
        let whole = disk(&path).map_or(0, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
        let mut reserve = Self { path, bytes: Self::BYTES.min(whole / Self::SHARE), is_held: false };
        reserve.refill();
        reserve
    }

    /// Sets room aside again, as much as there is.
    pub(crate) fn refill(&mut self) {
        let mut bytes = self.bytes;
        while !self.is_held && bytes >= ROOM {
            self.is_held = self.set_aside(bytes).is_ok();
            bytes /= 2;
        }
        if !self.is_held {
            self.give_up();
        }
    }

    /// How many bytes the database may grow on a disk that is almost full; `None` on others. The write-ahead log needs the
    /// same for what is new, and as much as a reserve for what changes.
    pub(crate) fn growth(&self) -> Option<u64> {
        let free = disk(&self.path).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))?;
        let kept = if self.is_held { self.bytes } else { 0 };
        (free < Self::LOW * self.bytes).then(|| free.saturating_sub(kept) / 2)
    }

    /// Gives the room up.
    pub(crate) fn give_up(&mut self) {
        self.is_held = false;
        // It may not be there.
        let _ = fs::remove_file(&self.path);
    }

    fn set_aside(&self, bytes: u64) -> io::Result<()> {
        allocate(&open_private(&self.path)?, bytes)
    }
}

fn disk(path: &Path) -> Option<StatVfs> {
    statvfs(path.parent()?).ok()
}
