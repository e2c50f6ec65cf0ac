//! English stop words: words that say nothing about what a text is about.

use std::collections::HashSet;
use std::sync::LazyLock;

/// In plain form: contractions have lost their apostrophe.
const STOP_WORDS: &str = "
    a an the and or but if of to in on at by for with from as into about than then so
    is are was were be been being am do does did doing done have has had having
    will would can could should may might must shall
    i me my mine we us our ours you your yours he him his he she her hers it its they them their theirs
    this that these those there here what which who whom whose when where why how
    not no nor just very too also some any both each s t d ll m re ve
    dont didnt doesnt isnt wasnt arent werent hasnt havent hadnt wont wouldnt couldnt shouldnt cant
    im ive ill id youre youve youll youd hes shes thats were weve well theyre theyve whats whos lets";

/// Whether a word, in its plain form, is a stop word.
pub(crate) fn is_stop_word(plain: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.split_whitespace().collect());
    // "shouldnt" is the longest.
    plain.len() <= 8 && WORDS.contains(plain)
}
