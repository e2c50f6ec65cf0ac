//! The log of an instance: what its processes print.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::super::{LogPart, LogPosition};
use crate::instances::Reason;

/// A log that is larger becomes the older one when a process starts, and the older one before it is removed.
const ROTATED_BYTES: u64 = 16 << 20;
/// The most that is read at once.
const MAX_PART: u64 = 1 << 20;

/// The log, open to append, after a large one has made room. Also returns where it ends.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let is_large = fs::metadata(path).is_ok_and(|found| found.len() > ROTATED_BYTES);
    if is_large {
        fs::rename(path, path.with_extension("1"))?;
    }
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let end = log.metadata()?.len();
    Ok((log, end))
}

/// Where the log ends now.
pub(super) fn end(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Whole lines from this position on. A log that is shorter than the position has begun again, and so does the reader.
pub(super) fn read(path: &Path, from: LogPosition) -> io::Result<LogPart> {
    let log = match File::open(path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(LogPart { text: String::new(), next: 0 });
        }
        Err(error) => return Err(error),
    };
    let end = log.metadata()?.len();
    let (start, is_middle) = match from {
        LogPosition::Byte(byte) if byte <= end => (byte, false),
        LogPosition::Byte(_) => (0, false),
        LogPosition::Last(bytes) => {
            let start = end.saturating_sub(bytes.min(MAX_PART));
            (start, start > 0)
        }
    };
    let mut bytes = vec![0; (end - start).min(MAX_PART) as usize];
    log.read_exact_at(&mut bytes, start)?;
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
    fn a_large_log_becomes_the_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (log, _) = open(&path).unwrap();
        log.set_len(ROTATED_BYTES + 1).unwrap();
        assert_eq!(open(&path).unwrap().1, 0);
        assert_eq!(end(&path.with_extension("1")), ROTATED_BYTES + 1);
    }

    #[test]
    fn the_last_error_and_its_hint_are_the_reason() {
        let printed =
            "error: old\nhint: old\nINFO listening\nerror: the disk is full\nsecond line\nhint: free space\n";
        assert_eq!(failure_in(printed), Some(Reason::new("the disk is full; second line", "free space")));
        assert_eq!(failure_in("INFO stopped\n"), None);
    }
}
