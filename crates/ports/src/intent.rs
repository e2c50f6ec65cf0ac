//! The ids of writes in another database.

use memcloud_domain::Timestamp;
use uuid::Uuid;

use crate::unique_id;

/// The id of a write or a removal in another database: see [`RecordStore`](crate::RecordStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intent(Uuid);

impl Intent {
    /// A new intent, made at this moment. No other intent is equal to it.
    pub fn new(at: Timestamp) -> Self {
        Self(unique_id(at))
    }

    /// The 16 bytes that engines store.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The intent with these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}
