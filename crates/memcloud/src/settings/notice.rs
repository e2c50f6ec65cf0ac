/// Settings that work less well than they could: reported at the start, refused by nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// What does not work, or is unwise.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}
