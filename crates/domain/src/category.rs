use crate::{CategoryId, FactSet, SetTypeId, TagId};

/// A kind of facts, with what a language model is asked to learn them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its identity.
    pub id: CategoryId,
    /// Whose category it is.
    pub origin: CategoryOrigin,
    /// Its name, such as `profile`: unique among the categories of its origin.
    pub name: String,
    /// A description for people; may be empty.
    pub description: String,
    /// What a language model is asked.
    pub prompt: String,
    /// The version of the prompt, from 1.
    pub version: u32,
    /// The groups of facts in it, in the order of their ids. A category without tags leaves them to the model.
    pub tags: Vec<Tag>,
}

impl Category {
    /// What a fact says about the prompt that it was learned with, such as `profile/1`.
    pub fn prompt_version(&self) -> String {
        format!("{}/{}", self.name, self.version)
    }
}

/// Whose category it is, in the order in which categories of one name take the place of each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CategoryOrigin {
    /// The category of one set.
    Set(FactSet),
    /// A template: a category of all sets of a type.
    SetType(SetTypeId),
    /// A category of every set, which comes with the program.
    BuiltIn,
}

/// A group of facts inside a category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its identity.
    pub id: TagId,
    /// Its name, such as `Work`: unique in its category.
    pub name: String,
    /// What belongs to it; may be empty.
    pub description: String,
}
