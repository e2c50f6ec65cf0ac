use strum::Display;

/// The longest part of a wrong value that an error repeats, in characters.
const SHOWN: usize = 80;

/// What of a request a rule is about. Each API has a place for it.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash)]
pub enum Field {
    /// The organization of the space.
    #[strum(serialize = "the organization")]
    Organization,
    /// The space.
    #[strum(serialize = "the name of the space")]
    Space,
    /// The session.
    #[strum(serialize = "the name of the session")]
    Session,
    /// A person who takes part.
    #[strum(serialize = "the name of a user")]
    User,
    /// A program that takes part.
    #[strum(serialize = "the name of an agent")]
    Agent,
    /// Who said it.
    #[strum(serialize = "the producer")]
    Producer,
    /// Who it was said to.
    #[strum(serialize = "the recipient")]
    Recipient,
    /// The producer's role.
    #[strum(serialize = "the role")]
    Role,
    /// The kind of message.
    #[strum(serialize = "the kind of message")]
    Kind,
    /// What was said.
    #[strum(serialize = "the content")]
    Content,
    /// What came with it.
    #[strum(serialize = "the metadata")]
    Metadata,
    /// A text in the metadata that describes the content, such as a caption.
    #[strum(serialize = "a caption in the metadata")]
    Caption,
    /// When it was said, or another moment.
    #[strum(serialize = "the time")]
    Timestamp,
    /// The question of a search.
    #[strum(serialize = "the query")]
    Query,
    /// What a search is narrowed to.
    #[strum(serialize = "the filter")]
    Filter,
    /// The most results.
    #[strum(serialize = "the limit")]
    Limit,
    /// The id of an episode.
    #[strum(serialize = "the id of the episode")]
    Episode,
    /// The id of a fact.
    #[strum(serialize = "the id of the fact")]
    Fact,
    /// The category of a fact.
    #[strum(serialize = "the category of the fact")]
    FactCategory,
    /// The group of a fact inside its category.
    #[strum(serialize = "the tag of the fact")]
    FactTag,
    /// What a fact is about.
    #[strum(serialize = "the name of the fact")]
    FactName,
    /// What a fact says.
    #[strum(serialize = "the value of the fact")]
    FactValue,
    /// The messages that a fact rests on.
    #[strum(serialize = "the list of citations")]
    Citations,
    /// The id of a set of facts.
    #[strum(serialize = "the id of the set")]
    FactSet,
    /// The id of a type of sets.
    #[strum(serialize = "the id of the set type")]
    SetType,
    /// The id of a category.
    #[strum(serialize = "the id of the category")]
    Category,
    /// The id of a tag.
    #[strum(serialize = "the id of the tag")]
    Tag,
    /// The client's name for a request.
    #[strum(serialize = "the idempotency key")]
    IdempotencyKey,
}

/// A rule that a request breaks: which field, of which of several items, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct Violation {
    /// The field that breaks the rule.
    pub field: Field,
    /// The number of the item, counted from 0, in a request with several.
    pub item: Option<usize>,
    /// The rule.
    pub rule: Rule,
}

/// How a field breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is empty.
    Empty,
    /// It is longer than the limit.
    TooLong {
        /// The bytes that it has.
        bytes: usize,
        /// The bytes that it may have.
        limit: usize,
    },
    /// Its objects and lists are nested too deeply.
    TooDeep {
        /// The most levels that it may have.
        limit: usize,
    },
    /// It has too many values.
    TooManyValues {
        /// The values that it may have.
        limit: usize,
    },
    /// It contains a NUL character, which not every engine can store.
    NulCharacter,
    /// It is not a moment between the years 1000 and 2999.
    NotATime {
        /// What it is.
        given: String,
    },
    /// It is not an id.
    NotAnId {
        /// What it is.
        given: String,
    },
    /// It is not between 1 and a maximum.
    OutOfRange {
        /// What it is.
        given: i64,
        /// The maximum.
        max: usize,
    },
    /// It names a field that episodes do not have.
    UnknownKey {
        /// The name.
        key: String,
    },
}

impl Violation {
    /// A rule that a field breaks.
    pub fn new(field: Field, rule: Rule) -> Self {
        Self { field, item: None, rule }
    }

    /// The same, of one of several items.
    #[must_use]
    pub fn of_item(self, item: usize) -> Self {
        Self { item: Some(item), ..self }
    }

    /// Every broken rule among these checks; `Ok` if there is none.
    pub fn all(checks: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Vec<Self>> {
        let broken: Vec<Self> = checks.into_iter().filter_map(Result::err).collect();
        if broken.is_empty() { Ok(()) } else { Err(broken) }
    }

    /// A text that is not a moment.
    pub fn invalid_time(given: &str) -> Self {
        Self::new(Field::Timestamp, Rule::NotATime { given: beginning(given) })
    }

    /// A text that is not the id of this.
    pub fn invalid_id(field: Field, given: &str) -> Self {
        Self::new(field, Rule::NotAnId { given: beginning(given) })
    }

    /// A filter on a field that episodes do not have.
    pub fn unknown_key(key: &str) -> Self {
        Self::new(Field::Filter, Rule::UnknownKey { key: beginning(key) })
    }

    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        match (&self.rule, self.field) {
            (Rule::Empty, Field::Content | Field::FactValue) => "empty_content",
            (Rule::Empty, Field::Query) => "empty_query",
            (Rule::Empty, _) => "empty_name",
            (Rule::TooLong { .. }, Field::Content | Field::Query | Field::FactValue) => "content_too_long",
            (Rule::TooLong { .. }, Field::Metadata) => "metadata_too_large",
            (Rule::TooLong { .. }, Field::Caption) => "caption_too_long",
            (Rule::TooLong { .. }, _) => "name_too_long",
            (Rule::TooDeep { .. }, _) => "metadata_too_deep",
            (Rule::TooManyValues { .. }, _) => "too_many_values",
            (Rule::NulCharacter, _) => "nul_character",
            (Rule::NotATime { .. }, _) => "invalid_time",
            (Rule::NotAnId { .. }, Field::Fact) => "invalid_fact_id",
            (Rule::NotAnId { .. }, Field::FactSet) => "invalid_set_id",
            (Rule::NotAnId { .. }, Field::SetType) => "invalid_set_type_id",
            (Rule::NotAnId { .. }, Field::Category) => "invalid_category_id",
            (Rule::NotAnId { .. }, Field::Tag) => "invalid_tag_id",
            (Rule::NotAnId { .. }, _) => "invalid_id",
            (Rule::OutOfRange { .. }, _) => "limit_out_of_range",
            (Rule::UnknownKey { .. }, _) => "unknown_filter_key",
        }
    }

    fn message(&self) -> String {
        let field = self.field;
        match &self.rule {
            Rule::Empty => format!("{field} is empty"),
            Rule::TooLong { bytes, limit } if field == Field::Metadata => {
                format!(
                    "{field} has {bytes} bytes, counting each value with the keys above it; the limit is {limit}"
                )
            }
            Rule::TooDeep { limit } => {
                format!("{field} is nested more than {limit} levels deep")
            }
            Rule::TooManyValues { limit } => {
                format!("{field} has more than {limit} values")
            }
            Rule::TooLong { bytes, limit } => format!("{field} has {bytes} bytes; the limit is {limit}"),
            Rule::NulCharacter => format!("{field} contains a NUL character"),
            Rule::NotATime { given } => {
                format!("'{given}' is not an RFC 3339 time of the years 1000 to 2999")
            }
            Rule::NotAnId { given } if field == Field::Fact => format!("'{given}' is not the id of a fact"),
            Rule::NotAnId { given } if field == Field::Episode => format!("'{given}' is not an episode id"),
            Rule::NotAnId { given } => format!("'{given}' is not {field}"),
            Rule::OutOfRange { given, max } => format!("{field} is {given}; it must be between 1 and {max}"),
            Rule::UnknownKey { key } => format!("episodes have no field '{key}' to filter on"),
        }
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
