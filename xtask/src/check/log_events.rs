//! The events of the log: LOGGING.md lists what the product logs from `info` on.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::sources::{SourceFile, with_extensions};

const PAGE: &str = "LOGGING.md";
const LEVELS: [&str; 3] = ["error", "warn", "info"];
/// Crates that are no part of the product.
const OTHERS: [&str; 3] = ["crates/fake-llm", "crates/store-tests", "crates/test-servers"];

/// A message with its level, with `…` in place of what changes.
type Event = (String, String);

/// Every event that is logged and not listed, or listed and not logged.
pub(super) fn violations() -> Result<Vec<String>> {
    let sources = with_extensions(&["rs", "md"])?;
    let page = sources.iter().find(|source| source.path == Path::new(PAGE));
    let listed: BTreeSet<Event> = page.map(|page| listed(&page.text)).unwrap_or_default();
    let logged: BTreeSet<Event> =
        sources.iter().filter(|source| is_product(source)).flat_map(|s| logged(&s.text)).collect();
    let missing = logged.difference(&listed);
    let missing = missing.map(|(message, level)| format!("{PAGE} lacks '{message}' at {level}"));
    let surplus = listed.difference(&logged);
    let surplus = surplus.map(|(message, level)| format!("nothing logs '{message}' at {level}, see {PAGE}"));
    Ok(missing.chain(surplus).collect())
}

fn is_product(source: &SourceFile) -> bool {
    let is_other = OTHERS.iter().any(|other| source.path.starts_with(other));
    source.path.starts_with("crates")
        && !is_other
        && source.path.components().any(|part| part.as_os_str() == "src")
}

/// The rows `| `message` | `level` | … |` of the page.
fn listed(page: &str) -> BTreeSet<Event> {
    let rows = page.lines().filter_map(|line| {
        let (message, rest) = line.strip_prefix("| `")?.split_once("` | `")?;
        let (level, _) = rest.split_once("` |")?;
        LEVELS.contains(&level).then(|| (message.to_owned(), level.to_owned()))
    });
    rows.collect()
}

/// The events that a source file logs: the last text in each macro of `tracing`.
fn logged(source: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for level in LEVELS {
        for (_, call) in
            source.match_indices(&format!("tracing::{level}!(")).map(|(at, _)| source.split_at(at))
        {
            let texts = texts(call);
            events.extend(texts.last().map(|text| (without_values(text), level.to_owned())));
        }
    }
    events
}

/// The texts in a macro call, up to the parenthesis that ends it.
fn texts(call: &str) -> Vec<String> {
    let (mut texts, mut text, mut depth, mut escaped) = (Vec::new(), None::<String>, 0, false);
    for letter in call.chars() {
        match (&mut text, letter) {
            (Some(text), _) if escaped => {
                escaped = false;
                text.push(letter);
            }
            (Some(_), '\\') => escaped = true,
            (Some(_), '"') => texts.extend(text.take()),
            (Some(text), _) => text.push(letter),
            (None, '"') => text = Some(String::new()),
            (None, '(') => depth += 1,
            (None, ')') if depth == 1 => break,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
    }
    texts
}

/// A text of a format, with `…` for each value.
fn without_values(text: &str) -> String {
    let mut parts = text.split('{');
    let mut message = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        message.push('…');
        message.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str, level: &str) -> Event {
        (message.into(), level.into())
    }

    #[test]
    fn messages_are_read_from_code_and_from_the_page() {
        let code = r#"tracing::warn!(refused, reason = "odd (one)", "refused keys");
            tracing::info!("listening on {url}");
            tracing::error!(error = with_causes(&error), "it is \"broken\" in {}", place(at));
            tracing::debug!("not listed");"#;
        let expected = [
            event("it is \"broken\" in …", "error"),
            event("refused keys", "warn"),
            event("listening on …", "info"),
        ];
        assert_eq!(logged(code), expected);
        let page = "| message | level | meaning |\n|---|---|---|\n| `refused keys` | `warn` | `reason` |\n| `a` | b |";
        assert_eq!(listed(page), BTreeSet::from([event("refused keys", "warn")]));
    }
}
