use memcloud_domain::Timestamp;
use uuid::Uuid;

/// A UUID of version 7 made at this moment. No other call returns the same one.
pub fn unique_id(at: Timestamp) -> Uuid {
    let micros = u64::try_from(at.as_micros()).unwrap_or(0);
    let nanos = (micros % 1_000_000) as u32 * 1_000;
    Uuid::new_v7(uuid::Timestamp::from_unix_time(micros / 1_000_000, nanos, 0, 0))
}
