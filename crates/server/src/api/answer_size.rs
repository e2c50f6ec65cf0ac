//! How large an answer becomes.

use memcloud_domain::Episode;
use memcloud_tasks::INLINE_SCANNED_BYTES;

/// Whether writing these episodes takes longer than a switch to another thread and back.
pub(super) fn is_large<'a>(episodes: impl Iterator<Item = &'a Episode>) -> bool {
    episodes.map(Episode::size).sum::<usize>() > INLINE_SCANNED_BYTES
}
