//! Passes the events of a turn to its listener, without waiting for long.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ChatEvent;

/// How many events wait for a slow listener. With the limit of an answer this bounds the memory that a turn takes.
const WAITING: usize = 64;
/// How long a turn waits for a listener that has stopped reading.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sending half of a turn's events.
///
/// A listener that has gone, or reads nothing for [`PATIENCE`], is dropped: its events end, and the turn runs on.
pub(super) struct Listener {
    events: Option<mpsc::Sender<ChatEvent>>,
    stop: CancellationToken,
}

impl Listener {
    /// Both halves of a turn's events. When `stop` is cancelled, the turn no longer waits for the listener.
    pub(super) fn new(stop: CancellationToken) -> (Self, mpsc::Receiver<ChatEvent>) {
        let (events, receiver) = mpsc::channel(WAITING);
        (Self { events: Some(events), stop }, receiver)
    }

    pub(super) async fn send(&mut self, event: ChatEvent) {
        let Some(events) = self.events.take() else { return };
        let room = tokio::select! {
            biased;
            room = timeout(PATIENCE, events.reserve_owned()) => room.ok().and_then(Result::ok),
            () = self.stop.cancelled() => None,
        };
        self.events = room.map(|room| room.send(event));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event() -> ChatEvent {
        ChatEvent::Recalled(Box::default(), Duration::ZERO)
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_stops_reading_is_dropped() {
        let (mut listener, mut events) = Listener::new(CancellationToken::new());
        for _ in 0..WAITING + 1_000 {
            listener.send(event()).await;
        }
        let mut received = 0;
        while events.recv().await.is_some() {
            received += 1;
        }
        assert_eq!(received, WAITING, "its events end, and no more than these were kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_listener_gets_every_event() {
        let (mut listener, mut events) = Listener::new(CancellationToken::new());
        let reading = async {
            let mut received = 0;
            while events.recv().await.is_some() {
                tokio::time::sleep(PATIENCE / 2).await;
                received += 1;
            }
            received
        };
        let sending = async move {
            for _ in 0..WAITING + 100 {
                listener.send(event()).await;
            }
        };
        let (received, ()) = tokio::join!(reading, sending);
        assert_eq!(received, WAITING + 100);
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_does_not_wait_for_a_listener() {
        let stop = CancellationToken::new();
        let (mut listener, _events) = Listener::new(stop.clone());
        for _ in 0..WAITING {
            listener.send(event()).await;
        }
        stop.cancel();
        let began = tokio::time::Instant::now();
        listener.send(event()).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
