//! The path of a method, with variable parts: `v1/projects/{projectsId}/secrets/{secretsId}:addVersion`.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// A path with variable parts.
pub(super) struct Template {
    segments: Vec<Segment>,
}

/// What is between two slashes.
enum Segment {
    Fixed(String),
    /// A variable part, and what follows it.
    Variable(&'static str, &'static str),
}

impl Template {
    pub(super) fn new(service_path: &str, path: &'static str) -> Self {
        let before = service_path.split('/').filter(|segment| !segment.is_empty());
        let before = before.map(|segment| Segment::Fixed(segment.to_owned()));
        let own = path.split('/').map(|segment| {
            match segment.strip_prefix('{') {
                Some(rest) => rest.split_once('}').map(|(name, after)| Segment::Variable(name, after)),
                None => None,
            }
            .unwrap_or_else(|| Segment::Fixed(segment.to_owned()))
        });
        Self { segments: before.chain(own).collect() }
    }

    /// How many characters are fixed. The more, the more specific.
    pub(super) fn fixed(&self) -> usize {
        let fixed = |segment: &Segment| match segment {
            Segment::Fixed(text) => text.len(),
            Segment::Variable(_, after) => after.len(),
        };
        self.segments.iter().map(fixed).sum()
    }

    /// The variable parts of a path, decoded; `None` if it does not match.
    pub(super) fn parts(&self, path: &str) -> Option<BTreeMap<&'static str, String>> {
        let given: Vec<&str> = path.split('/').collect();
        if given.len() != self.segments.len() {
            return None;
        }
        let mut parts = BTreeMap::new();
        for (segment, given) in self.segments.iter().zip(given) {
            let given = percent_decode_str(given).decode_utf8().ok()?;
            match segment {
                Segment::Fixed(text) if *text == given => {}
                Segment::Fixed(_) => return None,
                Segment::Variable(name, after) => {
                    let value = given.strip_suffix(after).filter(|value| !value.is_empty())?;
                    parts.insert(*name, value.to_owned());
                }
            }
        }
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_part_may_be_followed_by_a_verb() {
        let template = Template::new("", "v1/projects/{p}/secrets/{s}:addVersion");
        let parts = template.parts("v1/projects/a%20b/secrets/x:addVersion").unwrap();
        assert_eq!((parts["p"].as_str(), parts["s"].as_str()), ("a b", "x"));
        assert!(template.parts("v1/projects/a/secrets/x").is_none());
        assert!(Template::new("compute/v1/", "projects/{p}").parts("compute/v1/projects/a").is_some());
    }
}
