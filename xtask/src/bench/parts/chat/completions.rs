//! `POST /v1/chat/completions`, on the instance and on its model alike.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memcloud_sse::Events;
use serde_json::Value;

use crate::bench::parts::GROUP;

const TIMEOUT: Duration = Duration::from_mins(1);

/// An endpoint of OpenAI's shape, called over one kept connection.
pub(super) struct Endpoint {
    http: reqwest::Client,
    url: String,
}

impl Endpoint {
    pub(super) fn at(address: SocketAddr) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { http, url: format!("http://{address}/v1/chat/completions") })
    }

    /// Waits for a whole answer.
    pub(super) async fn whole(&self, request: &Value) -> Result<()> {
        self.send(request).await?.bytes().await?;
        Ok(())
    }

    /// Reads a stream to its end. Answers when its first word came.
    pub(super) async fn first_word(&self, request: &Value) -> Result<Instant> {
        let mut answer = self.send(request).await?;
        let (mut events, mut came) = (Events::default(), None);
        while let Some(piece) = answer.chunk().await? {
            let now = Instant::now();
            events.push(&piece);
            while let Some(event) = events.next_event()? {
                let event: Value = serde_json::from_str(&event.data.unwrap_or_default()).unwrap_or_default();
                let said = event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
                if !said.is_empty() {
                    came.get_or_insert(now);
                }
            }
        }
        came.context("a stream without a word")
    }

    async fn send(&self, request: &Value) -> Result<reqwest::Response> {
        let sent = self.http.post(&self.url).header("x-memory-group", GROUP).json(request).send().await?;
        Ok(sent.error_for_status()?)
    }
}
