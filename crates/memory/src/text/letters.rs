//! Letters and digits, distinguished from other characters.

use std::sync::LazyLock;

/// Characters below this one are looked up. Those of most alphabets are, and those that the standard library takes longest
/// to find: Thai and Burmese, some fifty times as long as ASCII.
const LOOKED_UP: u32 = 0x2000;

/// Whether a character is a letter or a digit, as [`char::is_alphanumeric`] says.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    static BITS: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let mut bits = vec![0; (LOOKED_UP / 64) as usize];
        for c in ('\0'..).take_while(|c| u32::from(*c) < LOOKED_UP).filter(|c| c.is_alphanumeric()) {
            bits[(u32::from(c) / 64) as usize] |= 1 << (u32::from(c) % 64);
        }
        bits
    });
    match u32::from(c) {
        code @ ..LOOKED_UP => BITS[(code / 64) as usize] >> (code % 64) & 1 == 1,
        _ => c.is_alphanumeric(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_what_the_standard_library_says() {
        assert!(('\0'..=char::MAX).all(|c| is_alphanumeric(c) == c.is_alphanumeric()));
    }
}
