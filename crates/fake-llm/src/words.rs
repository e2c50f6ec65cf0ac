//! Rough stemming, to compare words.

/// Words that say nothing about the subject of a question.
const STOP: [&str; 93] = [
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "could", "did",
    "do", "does", "for", "from", "had", "has", "have", "he", "her", "him", "his", "how", "i", "if", "in",
    "is", "it", "its", "m", "me", "my", "no", "not", "of", "on", "or", "our", "please", "re", "s", "she",
    "should", "so", "some", "t", "tell", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "those", "to", "us", "ve", "was", "we", "were", "what", "when", "where", "which", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your", "yours", "mine", "ours", "theirs",
    "hers", "here", "ll", "d", "let", "now", "just", "but",
];

/// The shortest stem.
const STEM_CHARS: usize = 3;

/// The stems of a text's words in order, without stop words.
pub(crate) fn stems(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let words: Vec<String> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !STOP.contains(word))
        .map(stem)
        .collect();
    words.into_iter()
}

/// The word without its suffix, so that `lives`, `lived` and `living` are one.
fn stem(word: &str) -> String {
    let cut = ["ing", "ed", "es", "s", "e"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|rest| rest.chars().count() >= STEM_CHARS));
    cut.unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one() {
        let said: Vec<String> = stems("Lives, lived — living LIVE! What is it?").collect();
        assert_eq!(said, ["liv"; 4]);
        assert_eq!(stems("bus ed Ångström 2023").collect::<Vec<_>>(), ["bus", "ed", "ångström", "2023"]);
    }
}
