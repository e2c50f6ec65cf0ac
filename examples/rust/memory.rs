//! Stores two messages, finds one of them, and deletes both again, through the typed client.
//!
//! ```text
//! cargo run --example memory
//! ```

use std::error::Error;
use std::io::{self, Write};

use memcloud_api::memmachine_v1::{NewEpisode, SearchQuery, Session};
use memcloud_client::Client;

const GROUP: &str = "example-rust";

fn session() -> Session {
    Session {
        group_id: GROUP.into(),
        session_id: "s1".into(),
        user_id: Some(vec!["ann".into()]),
        agent_id: Some(vec!["assistant".into()]),
    }
}

/// Something that Ann said. The client stores it once, even when it has to send it again.
fn said(text: &str) -> NewEpisode {
    NewEpisode {
        session: Some(session()),
        producer: "ann".into(),
        produced_for: "assistant".into(),
        episode_content: text.into(),
        ..NewEpisode::default()
    }
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "a small program reads the environment itself")]
async fn main() -> Result<(), Box<dyn Error>> {
    // The program chooses the crypto provider. This fails only if another one was chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = std::env::var("MEMCLOUD_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".into());
    let key = std::env::var("MEMCLOUD_API_KEY").ok().map(Into::into);
    let memory = Client::new(&url, key)?.retrying(3);

    let mut stored = Vec::new();
    for text in ["The spare key is under the blue pot.", "On Sundays I bake bread."] {
        stored.push(memory.store(&said(text)).await?.id);
    }
    let query =
        SearchQuery { session: Some(session()), query: "Where is the key?".into(), ..Default::default() };
    for hit in memory.search(&query).await? {
        writeln!(io::stdout(), "{:5.2}  {}", hit.score.unwrap_or_default(), hit.episode.content)?;
    }
    for id in stored {
        memory.delete(GROUP, id).await?;
    }
    Ok(())
}
