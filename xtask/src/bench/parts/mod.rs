//! The parts of the benchmark, one promise per file.

use memcloud_api::Integer;
use memcloud_api::memmachine_v1::{NewEpisode, SearchQuery, Session};

pub(super) mod attacks;
pub(super) mod bulk;
pub(super) mod chat;
pub(super) mod databases;
pub(super) mod embedding;
pub(super) mod evidence;
pub(super) mod fill;
pub(super) mod first_build;
pub(super) mod growth;
pub(super) mod search;
pub(super) mod size;
pub(super) mod soak;
pub(super) mod start;
pub(super) mod store;

const GROUP: &str = "bench";
const SPEAKER: &str = "ann";

fn session() -> Session {
    Session {
        group_id: GROUP.into(),
        session_id: GROUP.into(),
        user_id: Some(vec![SPEAKER.into()]),
        agent_id: None,
    }
}

fn episode(text: &str) -> NewEpisode {
    NewEpisode {
        producer: SPEAKER.into(),
        produced_for: SPEAKER.into(),
        episode_content: text.into(),
        ..NewEpisode::default()
    }
}

fn store_request(text: &str) -> NewEpisode {
    NewEpisode { session: Some(session()), ..episode(text) }
}

fn search_request(question: &str) -> SearchQuery {
    SearchQuery {
        session: Some(session()),
        query: question.into(),
        limit: Some(Integer(10)),
        ..SearchQuery::default()
    }
}
