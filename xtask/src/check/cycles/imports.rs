//! The paths that a source file mentions.

/// A path as it is written, such as `crate::store::Store`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) path: Vec<String>,
    /// The name under which a `use` makes it known in this file.
    pub(super) name: Option<String>,
    /// Whether other files can use that name: a `pub use`.
    pub(super) public: bool,
}

/// Every path of two or more names in the code of a file, its unit tests left out.
pub(super) fn mentions(text: &str) -> Vec<Mention> {
    let tokens = tokens(&code(text));
    let mut mentions = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" && tokens.get(at + 1).is_some_and(|next| next != "<") {
            let public = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
            at = tree(&tokens, at + 1, &[], public, &mut mentions);
        } else if is_name(&tokens[at]) && tokens.get(at + 1).is_some_and(|next| next == "::") {
            let begins = at == 0 || tokens[at - 1] != "::";
            let (path, end) = path(&tokens, at);
            if begins && path.len() > 1 {
                mentions.push(Mention { path, name: None, public: false });
            }
            at = end;
        } else {
            at += 1;
        }
    }
    mentions
}

/// Reads the tree of a `use` from here. Answers where it ends.
fn tree(tokens: &[String], at: usize, before: &[String], public: bool, mentions: &mut Vec<Mention>) -> usize {
    let (names, mut at) = path(tokens, at);
    let path = [before, &names].concat();
    match tokens.get(at).map(String::as_str) {
        Some("{") => {
            at += 1;
            while tokens.get(at).is_some_and(|token| token != "}") {
                at = tree(tokens, at, &path, public, mentions);
                at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
            }
            at + 1
        }
        Some("*") => {
            mentions.push(Mention { path, name: None, public });
            at + 1
        }
        Some("as") => {
            let name = tokens.get(at + 1).cloned();
            mentions.push(Mention { path, name, public });
            at + 2
        }
        _ if names.is_empty() => at + 1,
        _ => {
            let is_self = path.last().is_some_and(|last| last == "self") && path.len() > 1;
            let path = if is_self { path[..path.len() - 1].to_vec() } else { path };
            let name = path.last().cloned();
            mentions.push(Mention { path, name, public });
            at
        }
    }
}

/// The names joined by `::` from here, and where they end, behind a last `::` if there is one.
fn path(tokens: &[String], mut at: usize) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    while let Some(name) = tokens.get(at).filter(|token| is_name(token)) {
        names.push(name.clone());
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    (names, at)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The code without comments, texts and the unit tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#") => raw_text(rest),
            '"' => quoted(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the text in quotes that begins here.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == '"' && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// The length of the raw text that begins here; 0 for a raw name such as `r#type`.
fn raw_text(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = 2 + hashes;
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

/// The length of the character that begins here; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            rest[from..].find('\'').map_or(0, |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

/// Names, `::`, and every other character by itself.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut name = String::from(c);
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                name.push(c);
            }
            tokens.push(name);
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !c.is_whitespace() {
            tokens.push(c.into());
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        mentions(text).iter().map(|mention| mention.path.join("::")).collect()
    }

    #[test]
    fn use_trees_are_split_into_paths() {
        let text = "pub(crate) use crate::{a::{self, A}, b::B as C, d::*};";
        assert_eq!(paths(text), ["crate::a", "crate::a::A", "crate::b::B", "crate::d"]);
        assert!(mentions(text).iter().all(|mention| mention.public));
        assert_eq!(mentions(text)[2].name.as_deref(), Some("C"));
    }

    #[test]
    fn paths_in_code_are_found_whole() {
        assert_eq!(
            paths("fn f(x: super::X) -> a::b::C<d::E> { x.y::<crate::Z>() }"),
            ["super::X", "a::b::C", "d::E", "crate::Z"]
        );
    }

    #[test]
    fn texts_and_characters_are_skipped() {
        assert!(paths(r##"let a = ("a::b \" c::d", r#"e::f"#, '"', '\'', "g::h");"##).is_empty());
        assert_eq!(paths("fn f<'a>(x: &'a a::B) {}"), ["a::B"]);
    }
}
