use memcloud_domain::EpisodeId;
use rusqlite::{Connection, params};

use crate::error::WorkError;

/// Replaces the encoded analyses of episodes.
pub(crate) fn set(tx: &Connection, analyses: &[(EpisodeId, Vec<u8>)]) -> Result<(), WorkError> {
    let mut update = tx.prepare_cached("UPDATE episodes SET analysis = ?2 WHERE uid = ?1")?;
    for (id, analysis) in analyses {
        update.execute(params![id.as_bytes(), analysis])?;
    }
    Ok(())
}
