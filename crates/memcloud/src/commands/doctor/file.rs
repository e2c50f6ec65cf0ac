//! The file that holds the memory: whether it is intact and complete.

use std::path::Path;

use memcloud_api::PrefixedId;
use memcloud_instance::Error;
use memcloud_instance::engines::holds_memory;
use memcloud_instance::engines::sqlite::{Examination, examine};

use super::{Finding, lost};

/// Examines the database, whether a server has it open or not. Also returns the name of the memory.
pub(super) async fn database(dir: &Path) -> Option<(Finding, Option<String>)> {
    let part = "database";
    if !holds_memory(dir) {
        return None;
    }
    let dir = dir.to_owned();
    Some(match tokio::task::spawn_blocking(move || examine(&dir)).await {
        Ok(Ok(found)) => (finding(part, &found), found.memory),
        Ok(Err(error)) => (Finding::broken(part, Error::Data(error)), None),
        Err(panic) => (Finding::failed(part, panic.to_string(), "report this"), None),
    })
}

fn finding(part: &'static str, found: &Examination) -> Finding {
    let mut damage = found.broken.clone();
    damage.extend(lost(&found.unreadable, |(row, id)| match id {
        Some(id) => format!("row {row}: {}", PrefixedId(*id)),
        None => format!("row {row}"),
    }));
    let mut damage = damage.into_iter();
    if let Some(first) = damage.next() {
        let hint = "stop the server, keep a copy of the damaged files, and restore a backup; or copy what can be read into a \
                    new directory with 'memcloud export --to DIR', and use that";
        return Finding::failed(part, first, hint).listing(damage);
    }
    if let Some(missing) = &found.missing {
        return Finding::failed(part, missing.clone(), "put the missing files back, or restore a backup");
    }
    let episodes =
        found.episodes.map_or_else(String::new, |episodes| format!("; {episodes} memories, each was read"));
    Finding::ok(part, format!("intact{episodes}"))
}
