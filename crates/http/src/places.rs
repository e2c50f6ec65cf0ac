//! The places that connections hold, and who gives way when there are no more.
//!
//! A connection whose peer has the next move (the head of a request, a body, taking an answer) may have to give its place
//! to a new one. The first to go are connections that showed no key, of the network that holds the most places, the
//! longest wait first. A connection whose request is being answered keeps its place.
//!
//! When all places are held that way, some more are kept: for callers with a key, and then for probes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// The places kept for callers with a key when all others are held.
const KEPT_FOR_KEYS: usize = 64;
/// The places kept for probes when those are held, too.
const KEPT_FOR_PROBES: usize = 16;
/// How many more connections than [`ServeOptions::connections`](crate::ServeOptions::connections) there may be.
pub(crate) const KEPT: usize = KEPT_FOR_KEYS + KEPT_FOR_PROBES;

/// All places of a listener.
pub(crate) struct Places {
    total: usize,
    per_network: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    places: HashMap<u64, Arc<Place>>,
    networks: HashMap<IpAddr, usize>,
    next: u64,
}

/// Whom a connection may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenTo {
    Everyone,
    Keys,
    Probes,
}

/// The place of one connection.
pub(crate) struct Place {
    pub(crate) open_to: OpenTo,
    network: IpAddr,
    number: u64,
    began: Instant,
    /// Whether a caller with a right was seen on it.
    is_known: AtomicBool,
    /// Since when the peer is waited for, to send; in microseconds from `began`, plus one. 0: it is not.
    sends_since: AtomicU64,
    /// Likewise to take what was written.
    takes_since: AtomicU64,
    /// Whether the peer was waited for since the last request began.
    was_awaited: AtomicBool,
    gives_way: Notify,
}

/// A place as its connection holds it; free again when dropped.
pub(crate) struct Hold {
    pub(crate) place: Arc<Place>,
    places: Arc<Places>,
}

impl Places {
    pub(crate) fn new(total: usize, per_network: usize) -> Arc<Self> {
        Arc::new(Self { total, per_network, taken: Mutex::default() })
    }

    /// A place for a connection from this address; `None` when even those that are kept are held.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Hold> {
        let network = network(address);
        let mut taken = self.taken();
        let has_its_share = taken.of(network) >= self.per_network;
        let mut open_to = OpenTo::Everyone;
        if has_its_share || taken.places.len() >= self.total {
            if let Some(waiting) = taken.first_to_go(has_its_share.then_some(network)) {
                taken.remove(&waiting);
                waiting.gives_way.notify_one();
            } else {
                open_to = match taken.places.len().saturating_sub(self.total) {
                    0..KEPT_FOR_KEYS => OpenTo::Keys,
                    KEPT_FOR_KEYS..KEPT => OpenTo::Probes,
                    _ => return None,
                };
            }
        }
        let place = Arc::new(Place::new(open_to, network, taken.next));
        taken.next += 1;
        *taken.networks.entry(network).or_default() += 1;
        taken.places.insert(place.number, Arc::clone(&place));
        Some(Hold { place, places: Arc::clone(self) })
    }

    /// Has the connection that should go first give way; `false` if each is being answered.
    pub(crate) fn free_one(&self) -> bool {
        let mut taken = self.taken();
        let waiting = taken.first_to_go(None);
        if let Some(waiting) = &waiting {
            taken.remove(waiting);
            waiting.gives_way.notify_one();
        }
        waiting.is_some()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn of(&self, network: IpAddr) -> usize {
        self.networks.get(&network).copied().unwrap_or(0)
    }

    /// The waiting connection that gives way first, of this network if one is given.
    fn first_to_go(&self, within: Option<IpAddr>) -> Option<Arc<Place>> {
        let candidates = self.places.values().filter(|place| within.is_none_or(|only| place.network == only));
        let waiting = candidates.filter_map(|place| Some((place, place.waits_since()?)));
        let first = waiting.min_by_key(|(place, since)| {
            let is_known = place.is_known.load(Ordering::Relaxed);
            (is_known, usize::MAX - self.of(place.network), *since)
        });
        first.map(|(place, _)| Arc::clone(place))
    }

    fn remove(&mut self, place: &Place) {
        if self.places.remove(&place.number).is_none() {
            return;
        }
        if let Some(count) = self.networks.get_mut(&place.network) {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&place.network);
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.places.taken().remove(&self.place);
    }
}

impl Place {
    fn new(open_to: OpenTo, network: IpAddr, number: u64) -> Self {
        Self {
            open_to,
            network,
            number,
            began: Instant::now(),
            is_known: AtomicBool::new(false),
            sends_since: AtomicU64::new(1),
            takes_since: AtomicU64::new(0),
            was_awaited: AtomicBool::new(true),
            gives_way: Notify::new(),
        }
    }

    /// Whether its peer is waited for, to send more.
    pub(crate) fn awaits_bytes(&self, awaits: bool) {
        self.sends_since.store(if awaits { self.now() } else { 0 }, Ordering::Relaxed);
    }

    /// Whether its peer is waited for, to take what was written.
    pub(crate) fn awaits_reader(&self, awaits: bool) {
        if !awaits {
            self.takes_since.store(0, Ordering::Relaxed);
        } else if self.takes_since.load(Ordering::Relaxed) == 0 {
            self.takes_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// There was nothing to read.
    pub(crate) fn found_nothing(&self) {
        self.was_awaited.store(true, Ordering::Relaxed);
    }

    /// Notes that a request begins; `true` if the peer sent it before it had the answer to the last one.
    pub(crate) fn begins_early(&self) -> bool {
        self.awaits_bytes(false);
        !self.was_awaited.swap(false, Ordering::Relaxed)
    }

    /// Notes that a caller with a right uses this connection.
    pub(crate) fn is_known(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    /// Ready when a new connection needs the place.
    pub(crate) async fn gives_way(&self) {
        self.gives_way.notified().await;
    }

    fn waits_since(&self) -> Option<Instant> {
        let since = [&self.sends_since, &self.takes_since].map(|since| since.load(Ordering::Relaxed));
        let micros = since.into_iter().filter(|since| *since > 0).min()?;
        Some(self.began + std::time::Duration::from_micros(micros - 1))
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64 + 1
    }
}

/// What shares places: an address of IPv4, or the 64 bits of IPv6 that one site has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    /// Whether it has been asked to give way.
    async fn gave_way(hold: &Hold) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, hold.place.gives_way()).await.is_ok()
    }

    fn answered(hold: Hold) -> Hold {
        hold.place.begins_early();
        hold
    }

    #[tokio::test]
    async fn the_longest_wait_of_the_busiest_network_gives_way() {
        let places = Places::new(4, 4);
        let alone = places.take(OTHER).unwrap();
        let mut many: Vec<_> = (0..3).map(|_| places.take(ONE).unwrap()).collect();
        many[0].place.is_known();
        let new = places.take(OTHER).unwrap();
        assert_eq!(new.place.open_to, OpenTo::Everyone);
        assert!(gave_way(&many[1]).await, "the longest wait without a key");
        assert!(!gave_way(&alone).await && !gave_way(&many[0]).await && !gave_way(&many[2]).await);
        drop(many.remove(1));
        assert_eq!(places.taken().places.len(), 4, "a place is not freed twice");
    }

    #[tokio::test]
    async fn a_network_with_its_share_makes_room_itself() {
        let places = Places::new(10, 2);
        let (first, _second) = (places.take(ONE).unwrap(), places.take(ONE).unwrap());
        assert!(places.take(OTHER).is_some());
        assert!(!gave_way(&first).await);
        let third = places.take(ONE).unwrap();
        assert!(gave_way(&first).await && third.place.open_to == OpenTo::Everyone);
    }

    #[test]
    fn the_last_places_are_kept_for_keys_and_probes() {
        let places = Places::new(2, 2);
        let _answered = [places.take(ONE), places.take(ONE)].map(|hold| answered(hold.unwrap()));
        let mut kept = Vec::new();
        for open_to in [(OpenTo::Keys, KEPT_FOR_KEYS), (OpenTo::Probes, KEPT_FOR_PROBES)] {
            for _ in 0..open_to.1 {
                let hold = answered(places.take(OTHER).unwrap());
                assert_eq!(hold.place.open_to, open_to.0);
                kept.push(hold);
            }
        }
        assert!(places.take(OTHER).is_none());
        kept[0].place.awaits_bytes(true);
        assert!(places.take(OTHER).is_some(), "one that waits gives way there, too");
    }

    #[test]
    fn sites_share_by_address_or_by_64_bits() {
        let network = |address: &str| network(address.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::3"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::3"), network("2001:db8:1:3::3"));
        assert_eq!(network("::ffff:10.0.0.1"), ONE);
    }
}
