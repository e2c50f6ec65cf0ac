//! The log of an instance: what its processes print.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::{LogPart, LogPosition};
use crate::instances::Reason;

/// The most that the log holds; then it becomes the older part, in place of the one before, and begins again.
const MOST_BYTES: u64 = 16 << 20;
/// The most that is read at once.
const MAX_PART: u64 = 1 << 20;

/// The log of a process of an instance, written by the process itself: it outlives the console, and what it prints is bounded
/// all the time.
#[derive(Debug)]
pub struct ProcessLog {
    path: PathBuf,
    file: File,
}

impl ProcessLog {
    /// The log at this path, which the output of the process is appended to as well.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open(path)? })
    }

    /// Copies the log to the older part, and empties it. It stays the same file, so whatever appends to it goes on. When the
    /// copy fails, as on a full disk, the older part is given up.
    fn begin_again(&self) -> io::Result<()> {
        let older = older(&self.path);
        if fs::copy(&self.path, &older).is_err() {
            // It may not be there.
            let _ = fs::remove_file(&older);
        }
        self.file.set_len(0)
    }
}

impl Write for ProcessLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.metadata()?.len() + bytes.len() as u64 > MOST_BYTES {
            self.begin_again()?;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The log, open to append.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("1")
}

/// Where the log ends now.
pub(super) fn end(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Whole lines from this position on. A log that is shorter than the position has begun again: what the reader has not seen is
/// in the older part, and then it begins again as well.
pub(super) fn read(path: &Path, from: LogPosition) -> io::Result<LogPart> {
    let end = end(path);
    let (start, is_middle) = match from {
        LogPosition::Byte(byte) if byte <= end => (byte, false),
        LogPosition::Byte(byte) => {
            let older = older(path);
            let rest = part(&older, byte.min(self::end(&older)), false)?;
            return if rest.text.is_empty() { part(path, 0, false) } else { Ok(rest) };
        }
        LogPosition::Last(bytes) => {
            let start = end.saturating_sub(bytes.min(MAX_PART));
            (start, start > 0)
        }
    };
    part(path, start, is_middle)
}

/// Whole lines from this byte on, which may be in the middle of one.
fn part(path: &Path, start: u64, is_middle: bool) -> io::Result<LogPart> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut log) => {
            log.seek(SeekFrom::Start(start))?;
            log.take(MAX_PART).read_to_end(&mut bytes)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let skipped = if is_middle { after_line(&bytes) } else { 0 };
    // A line that fills the whole part is cut: the reader would wait for its end for ever.
    let is_full = bytes.len() as u64 == MAX_PART;
    let last = bytes.iter().rposition(|&byte| byte == b'\n').map(|position| position + 1);
    let whole = last.unwrap_or(if is_full { bytes.len() } else { 0 }).max(skipped);
    let text = String::from_utf8_lossy(&bytes[skipped..whole]).into_owned();
    Ok(LogPart { text, next: start + whole as u64 })
}

/// Where the first line after one begins.
fn after_line(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte == b'\n').map_or(0, |position| position + 1)
}

/// Why a process ended, as it says itself in what it printed from this byte on.
pub(super) fn last_failure(path: &Path, from: u64) -> Option<Reason> {
    let start = from.max(end(path).saturating_sub(64 << 10));
    let text = read(path, LogPosition::Byte(start)).ok()?.text;
    failure_in(&text)
}

/// The error with its hint in what a command has printed.
pub(super) fn failure_in(printed: &str) -> Option<Reason> {
    let lines: Vec<&str> = printed.lines().collect();
    let error = lines.iter().rposition(|line| line.starts_with("error: "))?;
    let rest = &lines[error..];
    let hint = rest.iter().position(|line| line.starts_with("hint: "));
    let message = rest[..hint.unwrap_or(rest.len())].join("; ");
    let hint =
        hint.map_or("read its log with 'memcloud instances logs'", |hint| &rest[hint]["hint: ".len()..]);
    Some(Reason::new(&message["error: ".len()..], hint))
}

/// The last lines, where a process that ended said no reason.
pub(super) fn last_lines(path: &Path, from: u64) -> String {
    let text = read(path, LogPosition::Byte(from)).map(|part| part.text).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_in_whole_lines_and_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(read(&path, LogPosition::Byte(0)).unwrap(), LogPart { text: String::new(), next: 0 });
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(
            read(&path, LogPosition::Byte(0)).unwrap(),
            LogPart { text: "one\ntwo\n".into(), next: 8 }
        );
        assert_eq!(read(&path, LogPosition::Byte(8)).unwrap(), LogPart { text: String::new(), next: 8 });
        assert_eq!(read(&path, LogPosition::Last(8)).unwrap(), LogPart { text: "two\n".into(), next: 8 });
        assert_eq!(read(&path, LogPosition::Last(100)).unwrap().text, "one\ntwo\n");
        fs::write(&path, "new\n").unwrap();
        assert_eq!(read(&path, LogPosition::Byte(8)).unwrap(), LogPart { text: "new\n".into(), next: 4 });
        fs::write(&path, vec![b'x'; 2 << 20]).unwrap();
        assert_eq!(read(&path, LogPosition::Byte(0)).unwrap().next, MAX_PART);
    }

    #[test]
    fn a_large_log_begins_again_and_its_readers_miss_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = ProcessLog::open(&path).unwrap();
        // What a process prints beside its log, such as a panic.
        let mut beside = open(&path).unwrap();
        log.write_all(b"first\n").unwrap();
        beside.write_all(&vec![b'\n'; MOST_BYTES as usize - 13]).unwrap();
        let seen = end(&path);
        log.write_all(b"unseen\n").unwrap();
        assert_eq!(end(&path), MOST_BYTES);
        log.write_all(b"second\n").unwrap();
        beside.write_all(b"third\n").unwrap();
        assert_eq!((end(&older(&path)), end(&path)), (MOST_BYTES, 13));
        let unseen = read(&path, LogPosition::Byte(seen)).unwrap();
        assert_eq!(unseen, LogPart { text: "unseen\n".into(), next: MOST_BYTES });
        let rest = read(&path, LogPosition::Byte(unseen.next)).unwrap();
        assert_eq!(rest, LogPart { text: "second\nthird\n".into(), next: 13 });
    }

    #[test]
    fn the_last_error_and_its_hint_are_the_reason() {
        let printed =
            "error: old\nhint: old\nINFO listening\nerror: the disk is full\nsecond line\nhint: free space\n";
        assert_eq!(failure_in(printed), Some(Reason::new("the disk is full; second line", "free space")));
        assert_eq!(failure_in("INFO stopped\n"), None);
    }
}
