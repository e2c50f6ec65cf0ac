//! Characters that steer a terminal, or hide or reorder text, made visible.

use std::fmt::Write;

/// Whether a character has no glyph of its own: a control character other than tab and line feed, a bidirectional control,
/// a line or paragraph separator, a tag, a zero-width or another character that Unicode lets programs ignore
/// (`Default_Ignorable_Code_Point`, Unicode 16). The two selectors of emoji style, U+FE0E and U+FE0F, are common and carry
/// nothing else; they count as visible.
pub fn is_invisible(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text for people, with `\u{202e}` and the like in place of invisible characters.
pub fn visible(text: &str) -> String {
    replaced(text, is_invisible, |shown, c| write!(shown, "{}", c.escape_unicode()))
}

/// JSON of the same value, with escapes in place of invisible characters.
pub fn visible_json(json: &str) -> String {
    replaced(json, is_invisible, |shown, c| {
        c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(shown, "\\u{unit:04x}"))
    })
}

/// A text as one line of a list or a question: with `\n` and the like in place of line ends and tabs.
pub fn one_line(text: &str) -> String {
    let ends = |c: char| matches!(c, '\n'..='\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}');
    replaced(text, ends, |shown, c| write!(shown, "{}", c.escape_default()))
}

fn replaced(
    text: &str,
    hidden: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char) -> std::fmt::Result,
) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            // Writing to a String cannot fail.
            let _ = escape(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn visible_characters_are_unchanged() {
        for text in ["", "plain\n\ttext", "grün, 東京, Ελλάδα", "❤️ ☎︎ 👍🏽", "\u{a0}\u{3000}"]
        {
            assert_eq!((visible(text), visible_json(text)), (text.to_owned(), text.to_owned()));
        }
    }

    #[test]
    fn invisible_characters_are_shown_as_escapes() {
        assert_eq!(visible("\u{1b}[2J\r\u{7f}\u{9b}"), "\\u{1b}[2J\\u{d}\\u{7f}\\u{9b}");
        assert_eq!(visible("a\u{202e}b\u{2029}\u{200b}\u{e0041}"), "a\\u{202e}b\\u{2029}\\u{200b}\\u{e0041}");
        assert_eq!(visible_json("\"\u{2066}\u{e0041}\u{85}\""), "\"\\u2066\\udb40\\udc41\\u0085\"");
    }

    #[test]
    fn line_ends_and_tabs_of_one_line_are_shown_as_escapes() {
        assert_eq!(one_line("evil\r\nroot\t\u{2028}\u{85}x"), "evil\\r\\nroot\\t\\u{2028}\\u{85}x");
        assert_eq!(one_line("grün 👩\u{200d}🦰\u{fe0f}"), "grün 👩\u{200d}🦰\u{fe0f}");
    }

    proptest! {
        #[test]
        fn one_line_is_one_line(text in any::<String>()) {
            prop_assert!(one_line(&text).lines().count() <= 1);
        }

        #[test]
        fn json_keeps_its_value(text in any::<String>()) {
            let json = visible_json(&Value::from(text.as_str()).to_string());
            prop_assert!(!json.chars().any(is_invisible));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
