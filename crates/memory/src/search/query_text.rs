//! The text of a query with its tokens.

use crate::text::tokens::{Token, tokens};

/// How much of a long query is read, in bytes. The embedder reads no more than this either.
const MAX_BYTES: usize = 8_192;

/// The part of a query's text that is read.
pub(crate) fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BYTES)]
}

/// The text of a query with its tokens. Everything that reads a query reads these.
pub(crate) struct QueryText<'a> {
    pub(crate) text: &'a str,
    pub(crate) tokens: Vec<Token<'a>>,
}

impl<'a> QueryText<'a> {
    pub(crate) fn read(text: &'a str) -> Self {
        let text = beginning(text);
        Self { text, tokens: tokens(text).collect() }
    }
}
