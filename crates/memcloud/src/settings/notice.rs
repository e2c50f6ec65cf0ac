/// Settings that work but are unwise: reported at the start, never refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// What does not work, or is unwise.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}
