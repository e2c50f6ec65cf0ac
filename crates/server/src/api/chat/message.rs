//! The text of a message in `OpenAI`'s shape, as the memory stores it.

use serde_json::Value;

/// The text of a message's content: texts as they are, and a note such as `[image: alt]` for every other part, one a line.
/// `None` when it is not a content.
pub(crate) fn text(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let noted: Option<Vec<String>> = parts.iter().map(part).collect();
            noted.map(|parts| parts.join("\n"))
        }
        _ => None,
    }
}

fn part(part: &Value) -> Option<String> {
    let kind = part["type"].as_str()?;
    if let Some(text) = part["text"].as_str().or(part["refusal"].as_str()) {
        return Some(text.to_owned());
    }
    // `image_url`, `input_audio`, `file` and others: the data itself is only for the model.
    let name = match kind {
        "image_url" | "input_image" => "image",
        "input_audio" => "audio",
        other => other,
    };
    let called = [
        &part["alt"],
        &part["alt_text"],
        &part[kind]["alt"],
        &part[kind]["alt_text"],
        &part[kind]["filename"],
    ];
    Some(match called.into_iter().find_map(Value::as_str) {
        Some(called) => format!("[{name}: {called}]"),
        None => format!("[{name}]"),
    })
}

#[cfg(test)]
mod tests {
    use super::text;
    use serde_json::json;

    #[test]
    fn parts_without_text_become_notes() {
        assert_eq!(text(&json!("hello")).unwrap(), "hello");
        let parts = json!([
            {"type": "text", "text": "Who is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "alt": "a red bicycle"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}},
            {"type": "file", "file": {"filename": "report.pdf", "file_data": "AAAA"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA"}},
        ]);
        assert_eq!(
            text(&parts).unwrap(),
            "Who is this?\n[image: a red bicycle]\n[image]\n[file: report.pdf]\n[audio]"
        );
        for nothing in [json!(null), json!(7), json!({}), json!([7]), json!([{"text": "no type"}])] {
            assert!(text(&nothing).is_none(), "{nothing}");
        }
    }
}
