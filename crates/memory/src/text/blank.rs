//! Texts without content.

use memcloud_domain::is_invisible;

/// Whether a text shows nothing: it has only spaces, control characters, characters that are not displayed, selectors of
/// emoji style and the empty pattern of Braille.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_whitespace() || is_invisible(c) || matches!(c, '\u{2800}' | '\u{fe0e}' | '\u{fe0f}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_a_visible_character_is_blank() {
        for blank in [
            "",
            " \n\t",
            "\u{200b}",
            "\u{200d}\u{feff} \u{e0061}",
            "\u{202e}\u{85}",
            "\u{ad}",
            "\u{3000}",
            "\u{fff9}\u{fffb}",
            "\u{2800}",
            "\u{fe0e}\u{fe0f}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for visible in ["a", " . ", "\u{200b}👍\u{fe0f}", "\u{301}", "ㅤ東", "\u{2801}", "\u{fffc}"] {
            assert!(!is_blank(visible), "{visible:?}");
        }
    }
}
