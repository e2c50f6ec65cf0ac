//! Answers that go on: what happens later reaches only a caller whose token still opens the console.

use std::pin::pin;
use std::time::Duration;

use memcloud_domain::Right;
use tokio::time::Instant;

use crate::App;
use crate::guard::Shown;

/// How often the token is checked again.
const CHECK: Duration = Duration::from_secs(5);

/// A caller who waits for news.
pub(crate) struct Watch {
    app: App,
    shown: Shown,
    checked: Instant,
}

impl Watch {
    pub(crate) fn new(app: App, shown: Shown) -> Self {
        Self { app, shown, checked: Instant::now() }
    }

    /// Waits for news. `None` when the server stops, or when the caller may not see them any more.
    pub(crate) async fn wait<T>(&mut self, news: impl Future<Output = T>) -> Option<T> {
        let mut news = pin!(news);
        loop {
            tokio::select! {
                biased;
                () = self.app.stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.checked + CHECK) => {
                    let identity = self.shown.identify(&self.app).await;
                    if !matches!(identity, Ok(Ok(identity)) if identity.rights.contains(Right::Read)) {
                        return None;
                    }
                    self.checked = Instant::now();
                }
                news = &mut news => return Some(news),
            }
        }
    }
}
