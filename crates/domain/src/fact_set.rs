use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{Field, SetTypeId, Space, Violation};

/// What stays as it is in the id of a set.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Which messages a set of facts may rest on: those of one space, or those of all spaces of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactScope {
    /// The organization.
    pub org: String,
    /// The project of that organization; `None` for all of them.
    pub project: Option<String>,
}

impl FactScope {
    /// All spaces of an organization.
    pub fn organization(org: impl Into<String>) -> Self {
        Self { org: org.into(), project: None }
    }

    /// Whether the space is part of it.
    pub fn contains(&self, space: &Space) -> bool {
        self.org == space.org && self.project.as_ref().is_none_or(|project| *project == space.project)
    }

    /// Whether it is this one space.
    pub fn is(&self, space: &Space) -> bool {
        self.project.is_some() && self.contains(space)
    }
}

impl From<&Space> for FactScope {
    fn from(space: &Space) -> Self {
        Self { org: space.org.clone(), project: Some(space.project.clone()) }
    }
}

/// A set of facts: those about whatever has this metadata, in this scope.
///
/// Facts about a person are the set with the metadata `producer_id`, facts about a project the set of its space without
/// metadata, and facts about an organization the set of its scope without metadata. A [`SetType`] makes sets with other
/// metadata. The definition of a set is its identity, so it is the same on every engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactSet {
    /// Where its messages are.
    pub scope: FactScope,
    /// What its messages have in common, apart from the scope.
    pub metadata: BTreeMap<String, String>,
}

impl FactSet {
    /// The metadata that names the owner of facts.
    pub const OWNER: &str = "producer_id";

    /// The facts about a person in a space.
    pub fn about(space: &Space, owner: impl Into<String>) -> Self {
        Self { scope: space.into(), metadata: BTreeMap::from([(Self::OWNER.to_owned(), owner.into())]) }
    }

    /// The facts about a whole scope.
    pub fn of(scope: impl Into<FactScope>) -> Self {
        Self { scope: scope.into(), metadata: BTreeMap::new() }
    }

    /// The person whom the facts are about, if it is a person.
    pub fn owner(&self) -> Option<&str> {
        self.metadata.get(Self::OWNER).map(String::as_str)
    }

    /// The keys of the metadata.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(String::as_str)
    }
}

/// The id of a set: its definition, written like the path and the query of an URL. `acme/shop?producer_id=ann` are the
/// facts about Ann in the project `shop` of `acme`, and `acme` are the facts about the organization.
impl fmt::Display for FactSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |text| utf8_percent_encode(text, &PLAIN);
        encoded(&self.scope.org).fmt(f)?;
        if let Some(project) = &self.scope.project {
            write!(f, "/{}", encoded(project))?;
        }
        for (place, (key, value)) in self.metadata.iter().enumerate() {
            let separator = if place == 0 { '?' } else { '&' };
            write!(f, "{separator}{}={}", encoded(key), encoded(value))?;
        }
        Ok(())
    }
}

impl FromStr for FactSet {
    type Err = Violation;

    fn from_str(text: &str) -> Result<Self, Violation> {
        let invalid = || Violation::invalid_id(Field::FactSet, text);
        let decoded = |part: &str| {
            let decoded = percent_decode_str(part).decode_utf8().map_err(|_| invalid())?;
            Ok::<String, Violation>(decoded.into_owned())
        };
        let (scope, pairs) = text.split_once('?').map_or((text, None), |(scope, pairs)| (scope, Some(pairs)));
        let scope = match scope.split_once('/') {
            Some((org, project)) => FactScope { org: decoded(org)?, project: Some(decoded(project)?) },
            None => FactScope::organization(decoded(scope)?),
        };
        let mut metadata = BTreeMap::new();
        for pair in pairs.into_iter().flat_map(|pairs| pairs.split('&')) {
            let (key, value) = pair.split_once('=').ok_or_else(invalid)?;
            metadata.insert(decoded(key)?, decoded(value)?);
        }
        let set = Self { scope, metadata };
        // One set has one id.
        if set.to_string() == text { Ok(set) } else { Err(invalid()) }
    }
}

/// A type of sets: every combination of values that messages have under these keys has a set of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetType {
    /// Its identity.
    pub id: SetTypeId,
    /// Where the messages of such a set are.
    pub scope: FactScope,
    /// The keys of their metadata.
    pub keys: BTreeSet<String>,
    /// A name for people; may be empty.
    pub name: String,
    /// A description for people; may be empty.
    pub description: String,
}

impl SetType {
    /// Whether this is the type of the set.
    pub fn is_type_of(&self, set: &FactSet) -> bool {
        self.scope == set.scope && self.keys.iter().map(String::as_str).eq(set.keys())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_id_of_a_set_shows_what_it_is_about() {
        let shop = Space::new("acme", "shop");
        assert_eq!(FactSet::about(&shop, "Ann Lee").to_string(), "acme/shop?producer_id=Ann%20Lee");
        assert_eq!(FactSet::of(&shop).to_string(), "acme/shop");
        assert_eq!(FactSet::of(FactScope::organization("acme")).to_string(), "acme");
    }

    #[test]
    fn an_id_in_another_spelling_is_refused() {
        for id in
            ["acme/shop?", "acme/shop?b=1&a=2", "acme/sh op", "%61cme", "acme?a", "acme/%ff", "a?b=1&b=1"]
        {
            assert!(id.parse::<FactSet>().is_err(), "{id}");
        }
    }

    proptest! {
        #[test]
        fn a_set_is_read_from_its_id(
            org in ".{0,5}",
            project in prop::option::of(".{0,5}"),
            metadata in prop::collection::btree_map(".{0,5}", ".{0,5}", 0..4),
        ) {
            let set = FactSet { scope: FactScope { org, project }, metadata };
            prop_assert_eq!(set.to_string().parse::<FactSet>(), Ok(set));
        }
    }
}
