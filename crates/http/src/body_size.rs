use memcloud_api::{Place, Problem};

/// The most values of one body, objects and lists included. Each takes far more memory than its bytes.
const MAX_VALUES: usize = 100_000;

/// What a request takes for each byte of its body, at most: the body, its texts, what is embedded, tokens, and the rows that
/// are written.
const BYTE_COST: usize = 8;

/// What a value takes in addition to its bytes.
const VALUE_COST: usize = 120;

/// What an object takes in addition to its values: it allocates room for several at once.
const OBJECT_COST: usize = 480;

/// How large a body is, found by a scan that takes no memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodySize {
    bytes: usize,
    values: usize,
    objects: usize,
}

impl BodySize {
    /// The size of a body of JSON. Of other bytes it is not less.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut size = Self { bytes: bytes.len(), values: 1, objects: 0 };
        let (mut in_text, mut is_escaped) = (false, false);
        for byte in bytes {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = in_text,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b',' | b'[' => size.values += 1,
                b'{' => {
                    size.values += 1;
                    size.objects += 1;
                }
                _ => {}
            }
        }
        size
    }

    /// About how much memory the request takes from its arrival to its answer, in bytes.
    pub(crate) fn cost(self) -> usize {
        let cost = |count: usize, each: usize| count.saturating_mul(each);
        cost(self.bytes, BYTE_COST)
            .saturating_add(cost(self.values, VALUE_COST))
            .saturating_add(cost(self.objects, OBJECT_COST))
    }

    /// Refuses a body of too many values.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if self.values <= MAX_VALUES {
            return Ok(());
        }
        let msg = format!("the body has about {} values; the limit is {MAX_VALUES}", self.values);
        Err(Problem::new(Place::body(), "value_error", msg, "too_many_values"))
    }
}

/// Roughly the most memory that a request with a body of this many bytes can take.
pub fn largest_request(body_bytes: usize) -> usize {
    BodySize { bytes: body_bytes, values: MAX_VALUES, objects: MAX_VALUES }.cost()
}

#[cfg(test)]
mod tests {
    use super::BodySize;

    #[test]
    fn the_largest_settings_do_not_overflow() {
        assert_eq!(super::largest_request(usize::MAX), usize::MAX);
    }

    #[test]
    fn only_what_is_outside_of_texts_counts() {
        let size = |text: &str| {
            let BodySize { values, objects, .. } = BodySize::of(text.as_bytes());
            (values, objects)
        };
        assert_eq!(size(r#""[{,\"[{,\\""#), (1, 0));
        assert_eq!(size(r#"{"a,[{":[1,"\\",{}]}"#), (6, 2));
    }
}
