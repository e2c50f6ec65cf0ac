//! What a verification says and asks. Random words make the answers impossible to guess.

use memcloud_api::memmachine_v1::{Batch, NewEpisode, SearchQuery, Session};
use memcloud_api::{Integer, native::ChatRequest};
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::json;

/// How the name of every space of a verification begins. No other space of an instance may have such a name.
pub(super) const PREFIX: &str = "memcloud-verification-";
/// Who says everything.
const PERSON: &str = "resident";
/// Who answers in chats.
const ASSISTANT: &str = "assistant";
/// The session that messages are stored in.
pub(super) const SESSION: &str = "diary";
/// How many syllables a random word has: 80 to the power of this many words.
const SYLLABLES: usize = 4;
/// How many memories a search asks for.
const HITS: i64 = 3;

/// A message with a random word, and the question that it answers.
pub(super) struct Secret {
    /// What is said.
    pub(super) said: String,
    /// What is asked.
    pub(super) question: String,
}

/// What one verification says and asks.
pub(super) struct Script {
    /// The group that everything is said in: a space of its own.
    pub(super) group: String,
    /// What is stored alone.
    pub(super) first: Secret,
    /// What is stored together with messages that are similar to it.
    pub(super) others: [Secret; 2],
    /// What is said in a chat.
    pub(super) chatted: Secret,
    /// The place that the person says to live in.
    pub(super) city: String,
}

impl Script {
    /// A script that no other verification has.
    pub(super) fn random() -> Self {
        Self {
            group: format!("{PREFIX}{:016x}", rand::random::<u64>()),
            first: code_word("boat house"),
            others: [code_word("wine cellar"), code_word("tool shed")],
            chatted: code_word("attic"),
            city: capitalized(&word()),
        }
    }

    /// What is stored alone.
    pub(super) fn episode(&self) -> NewEpisode {
        NewEpisode { session: Some(self.session(SESSION)), ..said(self.first.said.clone()) }
    }

    /// What is stored together, in random order. With the message before it is more than the learner waits for.
    pub(super) fn batch(&self) -> Batch {
        let home = format!("I live in {}.", self.city);
        let similar = [
            "I painted the fence of the boat house green last week.",
            "The wine cellar needs a new lamp above the stairs.",
            "A neighbor borrowed the long ladder from the tool shed.",
            "The word of the day in my calendar was serendipity.",
        ];
        let mut texts: Vec<String> = similar.map(str::to_owned).into();
        texts.extend(self.others.iter().map(|secret| secret.said.clone()));
        texts.push(home);
        texts.shuffle(&mut rand::rng());
        Batch { session: Some(self.session(SESSION)), episodes: texts.into_iter().map(said).collect() }
    }

    /// A question in a session.
    pub(super) fn query(&self, session: &str, question: &str) -> SearchQuery {
        SearchQuery {
            session: Some(self.session(session)),
            query: question.to_owned(),
            limit: Some(Integer(HITS)),
            ..SearchQuery::default()
        }
    }

    /// A turn of a chat that sends only this message, without what was said before.
    pub(super) fn turn(&self, session: &str, text: &str) -> ChatRequest {
        ChatRequest {
            session: Some(self.session(session)),
            messages: vec![json!({"role": "user", "content": text})],
            ..ChatRequest::default()
        }
    }

    /// The person that facts are learned about.
    pub(super) fn person() -> &'static str {
        PERSON
    }

    fn session(&self, name: &str) -> Session {
        Session {
            group_id: self.group.clone(),
            session_id: name.to_owned(),
            user_id: Some(vec![PERSON.to_owned()]),
            agent_id: Some(vec![ASSISTANT.to_owned()]),
        }
    }
}

fn said(text: String) -> NewEpisode {
    NewEpisode { producer: PERSON.into(), episode_content: text, ..NewEpisode::default() }
}

fn code_word(place: &str) -> Secret {
    Secret {
        said: format!("The code word for the {place} is {}.", word()),
        question: format!("What is the code word for the {place}?"),
    }
}

/// A random word that can be pronounced.
fn word() -> String {
    let mut random = rand::rng();
    let mut letter = |of: &[u8]| char::from(of.choose(&mut random).copied().unwrap_or(b'a'));
    (0..SYLLABLES).flat_map(|_| [letter(b"bdfgklmnprstvwyz"), letter(b"aeiou")]).collect()
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}
