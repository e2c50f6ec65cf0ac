//! The hashes that stand for terms and runs of words: FNV-1a, in 32 and 64 bits.
//!
//! Hashes of terms are stored with the episodes, so these functions never change.

const OFFSET_32: u32 = 0x811c_9dc5;
const PRIME_32: u32 = 0x0100_0193;
const OFFSET_64: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME_64: u64 = 0x0100_0000_01b3;

/// The 32-bit FNV-1a hash of some bytes.
pub(crate) fn fnv32(bytes: impl IntoIterator<Item = u8>) -> u32 {
    bytes.into_iter().fold(OFFSET_32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME_32))
}

/// The 64-bit FNV-1a hash of some values: usually bytes, but any value that fits into 64 bits counts as one step.
pub(crate) fn fnv64<T: Into<u64>>(values: impl IntoIterator<Item = T>) -> u64 {
    values.into_iter().fold(OFFSET_64, |hash, value| (hash ^ value.into()).wrapping_mul(PRIME_64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_the_published_test_vectors() {
        assert_eq!(fnv32(*b""), 0x811c_9dc5);
        assert_eq!(fnv32(*b"foobar"), 0xbf9c_f968);
        assert_eq!(fnv64(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv64(*b"foobar"), 0x8594_4171_f739_67e8);
    }
}
