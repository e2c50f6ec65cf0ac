use std::ops::Deref;

use memcloud_domain::{Field, Member, Metadata, Rule, Violation};

use crate::metadata_size::MetadataSize;
use crate::text::analysis::descriptions;
use crate::text::blank::is_blank;

/// What a memory accepts, and how much RAM its indexes may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest content of one episode, in bytes of UTF-8. Default 1 MiB.
    pub content_bytes: usize,
    /// The largest metadata of one episode, in bytes of its JSON, with each value counted with the keys above it. Default
    /// 64 KiB.
    pub metadata_bytes: usize,
    /// The most levels of metadata: 1 where no value is an object or a list. Default 16.
    pub metadata_levels: usize,
    /// The most values in the metadata of one episode, objects and lists included. Default 1,000.
    pub metadata_values: usize,
    /// The longest caption, title or other description in the metadata, in bytes. It is embedded with the content. Also the
    /// longest value of a fact that is made by hand. Default 16 KiB.
    pub caption_bytes: usize,
    /// The longest name of a session, member or kind, in bytes. Default 1 KiB.
    pub name_bytes: usize,
    /// The most results of one search. Default 1,000.
    pub results: usize,
    /// The most memory that the episodes of one answer may take, in bytes: a page ends early, and a search leaves out the
    /// last hits. Default 8 MiB.
    pub answer_bytes: usize,
    /// The most memory that all requests and answers may take at once, in bytes; others are refused as busy. Default
    /// 256 MiB.
    pub in_flight_bytes: usize,
    /// The most RAM that the ranking indexes of all spaces may use, in bytes. The index in use is kept even when it is
    /// larger. Default 1 GiB.
    pub index_bytes: usize,
}

/// A request that breaks none of its rules.
#[derive(Clone, Debug)]
pub struct Checked<T>(T);

impl<T> Checked<T> {
    /// The request when all of these checks succeed, else every rule that it breaks.
    pub(crate) fn by(
        request: T,
        checks: impl FnOnce(&T) -> Result<(), Vec<Violation>>,
    ) -> Result<Self, Vec<Violation>> {
        checks(&request).map(|()| Self(request))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Checked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            content_bytes: 1 << 20,
            metadata_bytes: 64 << 10,
            metadata_levels: 16,
            metadata_values: 1_000,
            caption_bytes: 16 << 10,
            name_bytes: 1 << 10,
            results: 1_000,
            answer_bytes: 8 << 20,
            in_flight_bytes: 256 << 20,
            index_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// Refuses a name that is too long or that not every engine can store.
    pub fn check_name(&self, field: Field, name: &str) -> Result<(), Violation> {
        check(field, name, self.name_bytes)
    }

    /// Refuses a member with an invalid name.
    pub fn check_member(&self, member: &Member) -> Result<(), Violation> {
        match member {
            Member::User(name) => self.check_name(Field::User, name),
            Member::Agent(name) => self.check_name(Field::Agent, name),
        }
    }

    /// Refuses a content or a query that shows nothing or is too long, or that not every engine can store.
    pub fn check_text(&self, field: Field, text: &str) -> Result<(), Violation> {
        check(field, text, self.content_bytes)?;
        if is_blank(text) {
            return Err(Violation::new(field, Rule::Empty));
        }
        Ok(())
    }

    /// Refuses a category, tag, name or value of a fact that shows nothing or is too long, or that not every engine can store.
    pub(crate) fn check_fact_text(&self, field: Field, text: &str) -> Result<(), Violation> {
        check(field, text, if field == Field::FactValue { self.caption_bytes } else { self.name_bytes })?;
        if is_blank(text) { Err(Violation::new(field, Rule::Empty)) } else { Ok(()) }
    }

    /// Refuses metadata that is too large, too deep or of too many values, or that not every engine can store.
    pub fn check_metadata(&self, metadata: &Metadata) -> Result<(), Violation> {
        let refused = |rule| Err(Violation::new(Field::Metadata, rule));
        let MetadataSize { bytes, levels, values, has_nul } = MetadataSize::of(metadata);
        if bytes > self.metadata_bytes {
            return refused(Rule::TooLong { bytes, limit: self.metadata_bytes });
        }
        if levels > self.metadata_levels {
            return refused(Rule::TooDeep { limit: self.metadata_levels });
        }
        if values > self.metadata_values {
            return refused(Rule::TooManyValues { limit: self.metadata_values });
        }
        if has_nul {
            return refused(Rule::NulCharacter);
        }
        let longest = descriptions(metadata).map(str::len).max().unwrap_or_default();
        if longest > self.caption_bytes {
            let rule = Rule::TooLong { bytes: longest, limit: self.caption_bytes };
            return Err(Violation::new(Field::Caption, rule));
        }
        Ok(())
    }

    /// The number of results that a request asks for, or the usual number.
    pub fn check_limit(&self, given: Option<i64>, usual: usize) -> Result<usize, Violation> {
        let max = self.results;
        let Some(given) = given else { return Ok(usual.min(max)) };
        match usize::try_from(given) {
            Ok(limit) if (1..=max).contains(&limit) => Ok(limit),
            _ => Err(Violation::new(Field::Limit, Rule::OutOfRange { given, max })),
        }
    }
}

fn check(field: Field, text: &str, limit: usize) -> Result<(), Violation> {
    if text.len() > limit {
        return Err(Violation::new(field, Rule::TooLong { bytes: text.len(), limit }));
    }
    if text.contains('\0') {
        return Err(Violation::new(field, Rule::NulCharacter));
    }
    Ok(())
}
