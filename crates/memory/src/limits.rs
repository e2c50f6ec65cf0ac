use memcloud_domain::Error;

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
    /// Refuses a name that is too long or that no engine can store.
    pub(crate) fn check_name(&self, field: &'static str, name: &str) -> Result<(), Error> {
        let limit = self.name_bytes;
        if name.len() > limit {
            return Err(Error::NameTooLong { field, bytes: name.len(), limit });
        }
        if name.contains('\0') {
            return Err(Error::NulCharacter { field });
        }
        Ok(())
    }

    /// Refuses a text that is longer than any content may be.
    pub(crate) fn check_length(&self, text: &str) -> Result<(), Error> {
        let (bytes, limit) = (text.len(), self.content_bytes);
        if bytes > limit { Err(Error::ContentTooLong { bytes, limit }) } else { Ok(()) }
    }
}
