//! Links in documents: each points at a file that exists, and at a heading in it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::sources::{SourceFile, with_extensions};
use crate::steps::root;

/// Every link to a file or heading that does not exist. Links to other sites are not checked.
pub(super) fn violations() -> Result<Vec<String>> {
    let root = root();
    Ok(with_extensions(&["md"])?.iter().flat_map(|source| broken(&root, source)).collect())
}

fn broken(root: &Path, source: &SourceFile) -> Vec<String> {
    let folder = root.join(&source.path).parent().map_or_else(|| root.to_owned(), Path::to_owned);
    let wrong = |(line, target): &(usize, &str)| {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if file.is_empty() { root.join(&source.path) } else { folder.join(file) };
        let reason = if !path.exists() {
            "points at a missing file"
        } else if !heading.is_empty()
            && !fs::read_to_string(path).is_ok_and(|text| headings(&text).contains(heading))
        {
            "points at a missing heading"
        } else {
            return None;
        };
        Some(format!("{}:{}: the link '{target}' {reason}", source.path.display(), line + 1))
    };
    targets(&source.text).iter().filter_map(wrong).collect()
}

/// The targets of all inline links outside code blocks, with their lines, counted from 0.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut targets = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let parts = line.split("](").skip(1).filter(|_| !in_code);
        let found = parts.filter_map(|rest| Some(rest.split_once(')')?.0));
        targets.extend(found.filter(|target| !target.contains("://")).map(|target| (number, target)));
    }
    targets
}

/// The anchors of a document's headings, as repository hosts make them.
fn headings(text: &str) -> HashSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// Lower case, spaces as hyphens, other punctuation left out.
fn anchor(heading: &str) -> String {
    let kept = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    };
    heading.to_lowercase().chars().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_need_their_file_and_heading() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.md"), "# One `two`: three").unwrap();
        let text = "[a](a.md) [b](b.md) [c](a.md#one-two-three) [d](a.md#four) [e](https://there/x)\n```\n[f](g.md)\n```";
        let source = SourceFile { path: "index.md".into(), text: text.to_owned() };
        assert_eq!(
            broken(folder.path(), &source),
            [
                "index.md:1: the link 'b.md' points at a missing file",
                "index.md:1: the link 'a.md#four' points at a missing heading"
            ]
        );
    }
}
