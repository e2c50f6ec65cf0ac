use memcloud_domain::Metadata;
use serde_json::Value;

/// How large metadata is, by every measure that is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetadataSize {
    /// The bytes of its JSON, with each value counted with the keys above it: that is what the index keeps of it.
    pub(crate) bytes: usize,
    /// The levels of objects and lists; 1 where no value is one.
    pub(crate) levels: usize,
    /// The values, objects and lists included.
    pub(crate) values: usize,
    /// Whether any text holds NUL. JSON allows it, but PostgreSQL cannot store it, and an engine must not accept what
    /// another cannot.
    pub(crate) has_nul: bool,
}

impl MetadataSize {
    /// The size of this metadata.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let mut size = Self::default();
        size.object(metadata, 0, 1);
        size
    }

    /// Adds an object whose keys follow outer keys of this many bytes.
    fn object(&mut self, object: &Metadata, above: usize, level: usize) {
        self.nested(level);
        for (key, value) in object {
            self.has_nul |= key.contains('\0');
            // The key, its quotes, the colon and the comma.
            let path = above + key.len() + 4;
            self.bytes += path;
            self.value(value, path, level);
        }
    }

    fn value(&mut self, value: &Value, above: usize, level: usize) {
        self.values += 1;
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.bytes += 8,
            Value::String(text) => {
                self.has_nul |= text.contains('\0');
                self.bytes += text.len() + 2;
            }
            Value::Array(items) => {
                self.nested(level + 1);
                for item in items {
                    self.bytes += 1;
                    // Filters do not look into lists, so the index keeps no keys above them.
                    self.value(item, 0, level + 1);
                }
            }
            Value::Object(object) => self.object(object, above, level + 1),
        }
    }

    fn nested(&mut self, level: usize) {
        self.bytes += 2;
        self.levels = self.levels.max(level);
    }
}
