use memcloud_domain::{Field, Member, Rule, Violation};

/// What a memory accepts, and how much RAM its indexes may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest content of one episode, in bytes of UTF-8. Default 1 MiB.
    pub content_bytes: usize,
    /// The longest name of a session, member or kind, in bytes. Default 1 KiB.
    pub name_bytes: usize,
    /// The most results of one search. Default 1,000.
    pub results: usize,
    /// The most RAM that the ranking indexes of all spaces may use, in bytes. The index in use is kept even when it is
    /// larger. Default 1 GiB.
    pub index_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { content_bytes: 1 << 20, name_bytes: 1 << 10, results: 1_000, index_bytes: 1 << 30 }
    }
}

impl Limits {
    /// Refuses a name that is too long or that not every engine can store.
    pub fn check_name(&self, field: Field, name: &str) -> Result<(), Violation> {
        check(field, name, self.name_bytes)
    }

    /// Refuses a member with such a name.
    pub fn check_member(&self, member: &Member) -> Result<(), Violation> {
        match member {
            Member::User(name) => self.check_name(Field::User, name),
            Member::Agent(name) => self.check_name(Field::Agent, name),
        }
    }

    /// Refuses a content or a query that is empty or too long, or that not every engine can store.
    pub fn check_text(&self, field: Field, text: &str) -> Result<(), Violation> {
        if text.trim().is_empty() {
            return Err(Violation::new(field, Rule::Empty));
        }
        check(field, text, self.content_bytes)
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
