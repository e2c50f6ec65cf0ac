/// The beginning of a text on one line, for errors and logs: white space is collapsed, and a text with more characters
/// than this ends in "…".
pub fn excerpt(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn an_excerpt_is_one_line_of_limited_length() {
        assert_eq!(excerpt(" one\n  two ", 7), "one two");
        assert_eq!(excerpt("ééé", 2), "éé…");
        assert_eq!(excerpt("", 2), "");
    }
}
