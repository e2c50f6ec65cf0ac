use half::f16;
use memcloud_domain::EpisodeId;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::WorkError;
use crate::spaces;

/// A vector as bytes: f16, little endian.
pub(crate) fn encode(vector: &[f16]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The vector in these bytes.
pub(crate) fn decode(bytes: &[u8]) -> Vec<f16> {
    bytes.as_chunks::<2>().0.iter().map(|pair| f16::from_le_bytes(*pair)).collect()
}

/// The vectors of those of these episodes that have one.
pub(crate) fn of(
    connection: &Connection,
    ids: &[EpisodeId],
) -> Result<Vec<(EpisodeId, Vec<f16>)>, WorkError> {
    let mut select =
        connection.prepare_cached("SELECT vector FROM episodes WHERE uid = ?1 AND vector IS NOT NULL")?;
    let mut vectors = Vec::with_capacity(ids.len());
    for id in ids {
        let vector: Option<Vec<u8>> = select.query_row([id.as_bytes()], |row| row.get(0)).optional()?;
        vectors.extend(vector.map(|vector| (*id, decode(&vector))));
    }
    Ok(vectors)
}

/// Sets the vectors of episodes, each as a change of its own so that indexes read it.
pub(crate) fn set(tx: &Connection, vectors: &[(EpisodeId, Vec<f16>)]) -> Result<(), WorkError> {
    let mut space_of = tx.prepare_cached("SELECT space FROM episodes WHERE uid = ?1")?;
    let mut update = tx.prepare_cached("UPDATE episodes SET vector = ?2, seq = ?3 WHERE uid = ?1")?;
    for (id, vector) in vectors {
        let space: Option<i64> = space_of.query_row([id.as_bytes()], |row| row.get(0)).optional()?;
        if let Some(space) = space {
            update.execute(params![id.as_bytes(), encode(vector), spaces::advance(tx, space, 1, 0)?])?;
        }
    }
    Ok(())
}
