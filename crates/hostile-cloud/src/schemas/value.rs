//! A body against its schema.

use data_encoding::{BASE64, BASE64URL};
use serde_json::Value;

use super::document::Document;

/// A `google-duration` has seconds with at most nine digits behind the point, and ends in `s`.
const DURATION_DIGITS: usize = 9;

/// Everything that is wrong with a value: unknown and output-only fields, wrong types, formats and enums, and fields
/// that the method requires.
pub(super) fn problems(document: &Document, method: &str, schema: &Value, value: &Value) -> Vec<String> {
    let mut check = Check { document, method, problems: Vec::new() };
    check.value(schema, value, "$");
    check.problems
}

struct Check<'a> {
    document: &'a Document,
    method: &'a str,
    problems: Vec<String>,
}

impl Check<'_> {
    fn wrong(&mut self, at: &str, problem: &str) {
        self.problems.push(format!("{at}: {problem}"));
    }

    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        let named = schema["$ref"].as_str().map(|name| &self.document.schemas[name]);
        let schema = named.unwrap_or(schema);
        match schema["type"].as_str() {
            Some("object") => self.object(schema, value, at),
            Some("array") => match value.as_array() {
                Some(items) => {
                    for (number, item) in items.iter().enumerate() {
                        self.value(&schema["items"], item, &format!("{at}[{number}]"));
                    }
                }
                None => self.wrong(at, "an array is wanted"),
            },
            Some("boolean") if !value.is_boolean() => self.wrong(at, "true or false is wanted"),
            Some("integer") if !value.is_i64() && !value.is_u64() => self.wrong(at, "an integer is wanted"),
            Some("number") if !value.is_number() => self.wrong(at, "a number is wanted"),
            Some("string") => self.string(schema, value, at),
            _ => {}
        }
    }

    fn object(&mut self, schema: &Value, value: &Value, at: &str) {
        let Some(fields) = value.as_object() else { return self.wrong(at, "an object is wanted") };
        for (name, value) in fields {
            let place = format!("{at}.{name}");
            match (schema["properties"].get(name), schema.get("additionalProperties")) {
                (Some(property), _) if property["readOnly"] == true => {
                    self.wrong(&place, "the field is output only");
                }
                (Some(schema), _) | (None, Some(schema)) => self.value(schema, value, &place),
                (None, None) => self.wrong(&place, "the field is unknown"),
            }
        }
        let required = schema["properties"].as_object().into_iter().flatten().filter(|(_, property)| {
            let methods = property["annotations"]["required"].as_array();
            methods.is_some_and(|methods| methods.iter().any(|one| one == self.method))
        });
        let missing: Vec<&String> =
            required.map(|(name, _)| name).filter(|name| !fields.contains_key(*name)).collect();
        for name in missing {
            self.wrong(&format!("{at}.{name}"), "the field is required");
        }
    }

    fn string(&mut self, schema: &Value, value: &Value, at: &str) {
        let Some(text) = value.as_str() else { return self.wrong(at, "a string is wanted") };
        if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
            return self.wrong(at, &format!("'{text}' is not a value of this enum"));
        }
        let fits = match schema["format"].as_str() {
            Some("int64") => text.parse::<i64>().is_ok(),
            Some("uint64") => text.parse::<u64>().is_ok(),
            Some("byte") => [BASE64, BASE64URL].iter().any(|form| form.decode(text.as_bytes()).is_ok()),
            Some("google-duration") => is_duration(text),
            Some("google-datetime") => text.parse::<jiff::Timestamp>().is_ok(),
            _ => true,
        };
        if !fits {
            let format = schema["format"].as_str().unwrap_or_default();
            self.wrong(at, &format!("'{text}' does not have the format {format}"));
        }
    }
}

fn is_duration(text: &str) -> bool {
    let Some(number) = text.strip_suffix('s') else { return false };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(fraction) && fraction.len() <= DURATION_DIGITS
}
