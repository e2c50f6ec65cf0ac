//! The places that connections hold, and which connection is closed when all are taken.
//!
//! A connection that waits for its peer (for the head of a request, for a body, or to read an answer) may be closed to
//! give its place to a new one. The first to be closed are connections that showed no key, of the network that holds the most places, the
//! longest wait first. A connection whose request is being answered keeps its place.
//!
//! When all places are held that way, some more are kept: for callers with a key, and then for probes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::access_line::AccessLine;

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
    began: Instant,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    networks: HashMap<IpAddr, BTreeMap<Turn, Arc<Place>>>,
    /// Each network with the number of places that it holds.
    busiest: BTreeSet<(usize, IpAddr)>,
    /// Where in its network a place is.
    turns: HashMap<u64, Turn>,
    next: u64,
}

/// Where a place is in the order in which connections are closed. A place is moved only when its turn comes, so its time may be too
/// early: it may have begun to wait later, or not wait at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_known: bool,
    since: u64,
    number: u64,
}

/// The callers that a connection may serve.
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
    /// When times begin, which are in nanoseconds.
    began: Instant,
    /// Whether a caller with a right was seen on it.
    is_known: AtomicBool,
    /// Since when the peer is waited for, to send. 0: it is not. [`UNREAD`]: not known yet.
    sends_since: AtomicU64,
    /// Likewise to take what was written.
    takes_since: AtomicU64,
    /// Whether the peer was waited for since the last request began.
    was_awaited: AtomicBool,
    /// Whether the last request is answered, and the next has not begun.
    is_between_requests: AtomicBool,
    /// Whether the peer is to hear of the end a while later.
    ends_late: AtomicBool,
    must_close: Notify,
    /// The access line of the answer that is being sent.
    line: Mutex<Option<AccessLine>>,
}

/// The time of a new connection: what it sent is not read yet, so it may be anyone's.
const UNREAD: u64 = u64::MAX;

/// A place as its connection holds it; free again when dropped.
pub(crate) struct Hold {
    pub(crate) place: Arc<Place>,
    places: Arc<Places>,
}

impl Places {
    pub(crate) fn new(total: usize, per_network: usize) -> Arc<Self> {
        Arc::new(Self { total, per_network, began: Instant::now(), taken: Mutex::default() })
    }

    /// A place for a connection from this address; `None` when even those that are kept are held.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Hold> {
        let network = network(address);
        let mut taken = self.taken();
        let has_its_share = taken.of(network) >= self.per_network;
        let mut open_to = OpenTo::Everyone;
        if (has_its_share || taken.turns.len() >= self.total)
            && !taken.has_one_give_way(has_its_share.then_some(network))
        {
            open_to = match taken.turns.len().saturating_sub(self.total) {
                0..KEPT_FOR_KEYS => OpenTo::Keys,
                KEPT_FOR_KEYS..KEPT => OpenTo::Probes,
                _ => return None,
            };
        }
        let place = Arc::new(Place::new(open_to, network, taken.next, self.began));
        taken.add(&place);
        Some(Hold { place, places: Arc::clone(self) })
    }

    /// Asks the first connection of that order to close; `false` if all are being answered.
    pub(crate) fn free_one(&self) -> bool {
        self.taken().has_one_give_way(None)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn of(&self, network: IpAddr) -> usize {
        self.networks.get(&network).map_or(0, BTreeMap::len)
    }

    fn add(&mut self, place: &Arc<Place>) {
        self.next += 1;
        let (turn, held) = (place.turn(place.now()), self.of(place.network));
        self.turns.insert(place.number, turn);
        self.networks.entry(place.network).or_default().insert(turn, Arc::clone(place));
        self.busiest.remove(&(held, place.network));
        self.busiest.insert((held + 1, place.network));
    }

    fn remove(&mut self, place: &Place) {
        let (Some(turn), held) = (self.turns.remove(&place.number), self.of(place.network)) else { return };
        self.busiest.remove(&(held, place.network));
        if held > 1 {
            self.busiest.insert((held - 1, place.network));
            self.networks.entry(place.network).or_default().remove(&turn);
        } else {
            self.networks.remove(&place.network);
        }
    }

    /// Asks a waiting connection to close, of this network if one is given; `false` if none waits.
    fn has_one_give_way(&mut self, within: Option<IpAddr>) -> bool {
        let first = [false, true].into_iter().find_map(|is_known| match within {
            Some(network) => self.longest_wait(network, is_known),
            None => self.longest_wait_of_the_busiest(is_known),
        });
        if let Some(place) = &first {
            self.remove(place);
            place.must_close.notify_one();
        }
        first.is_some()
    }

    fn longest_wait_of_the_busiest(&mut self, is_known: bool) -> Option<Arc<Place>> {
        let mut next = self.busiest.last().copied();
        while let Some(busiest) = next {
            let first = self.longest_wait(busiest.1, is_known);
            if first.is_some() {
                return first;
            }
            next = self.busiest.range(..busiest).next_back().copied();
        }
        None
    }

    fn longest_wait(&mut self, network: IpAddr, is_known: bool) -> Option<Arc<Place>> {
        let places = self.networks.get_mut(&network)?;
        let now = places.values().next()?.now();
        loop {
            let (&turn, place) = places.range(Turn { is_known, since: 0, number: 0 }..).next()?;
            if turn.is_known != is_known || turn.since > now {
                return None;
            }
            let (moved, place) = (place.turn(now), Arc::clone(place));
            if moved == turn {
                return Some(place);
            }
            places.remove(&turn);
            places.insert(moved, place);
            self.turns.insert(moved.number, moved);
        }
    }
}

impl Drop for Hold {
    /// An answer that was not sent is logged as well.
    fn drop(&mut self) {
        self.place.log();
        self.places.taken().remove(&self.place);
    }
}

impl Place {
    fn new(open_to: OpenTo, network: IpAddr, number: u64, began: Instant) -> Self {
        Self {
            open_to,
            network,
            number,
            began,
            is_known: AtomicBool::new(false),
            sends_since: AtomicU64::new(UNREAD),
            takes_since: AtomicU64::new(0),
            was_awaited: AtomicBool::new(true),
            is_between_requests: AtomicBool::new(false),
            ends_late: AtomicBool::new(false),
            must_close: Notify::new(),
            line: Mutex::default(),
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
        if self.sends_since.load(Ordering::Relaxed) == UNREAD {
            self.awaits_bytes(true);
        }
    }

    /// Notes that a request is answered: its peer acts next.
    pub(crate) fn ends_request(&self) {
        self.is_between_requests.store(true, Ordering::Relaxed);
        self.awaits_bytes(true);
    }

    /// Notes that a request begins; `true` if the peer sent it before it had the answer to the last one.
    pub(crate) fn begins_early(&self) -> bool {
        self.is_between_requests.store(false, Ordering::Relaxed);
        self.awaits_bytes(false);
        !self.was_awaited.swap(false, Ordering::Relaxed)
    }

    /// Notes that a caller with a right uses this connection.
    pub(crate) fn note_known(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    /// Whether a caller with a right has used it.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// Keeps an access line until the head of its answer has been sent, so that the answer does not wait for the log.
    pub(crate) fn log_when_sent(&self, line: AccessLine) {
        self.log();
        *self.line() = Some(line);
    }

    /// Writes the line that was kept. What was to be sent has been sent, or never will be.
    pub(crate) fn log(&self) {
        let line = self.line().take();
        if let Some(line) = line {
            line.write();
        }
    }

    fn line(&self) -> MutexGuard<'_, Option<AccessLine>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when a new connection needs the place. A peer that is between two requests hears of the end at once, since
    /// it may be about to send the next; so does a caller with a right.
    pub(crate) async fn must_close(&self) {
        self.must_close.notified().await;
        let takes_all = self.takes_since.load(Ordering::Relaxed) == 0;
        let is_idle = takes_all && self.is_between_requests.load(Ordering::Relaxed);
        if !is_idle && !self.is_known() {
            self.end_late();
        }
    }

    /// Notes that the connection ends, and that its peer is to hear of it a while later.
    pub(crate) fn end_late(&self) {
        self.ends_late.store(true, Ordering::Relaxed);
    }

    /// Whether its peer is to hear of its end a while later.
    pub(crate) fn ends_late(&self) -> bool {
        self.ends_late.load(Ordering::Relaxed)
    }

    /// Where it is in the order now; after all that wait if its peer is not waited for.
    fn turn(&self, now: u64) -> Turn {
        let since = [&self.sends_since, &self.takes_since].map(|since| since.load(Ordering::Relaxed));
        let since = since.into_iter().filter(|since| !matches!(*since, 0 | UNREAD)).min();
        Turn { is_known: self.is_known(), since: since.unwrap_or(now + 1), number: self.number }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64 + 1
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

    /// Whether it has been asked to close.
    async fn gave_way(hold: &Hold) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, hold.place.must_close()).await.is_ok()
    }

    fn answered(hold: Hold) -> Hold {
        hold.place.begins_early();
        hold
    }

    fn silent(hold: Option<Hold>) -> Hold {
        let hold = hold.unwrap();
        hold.place.found_nothing();
        hold
    }

    #[tokio::test]
    async fn the_longest_waiting_connection_of_the_busiest_network_is_closed() {
        let places = Places::new(4, 4);
        let alone = silent(places.take(OTHER));
        let mut many: Vec<_> = (0..3).map(|_| silent(places.take(ONE))).collect();
        many[0].place.note_known();
        let new = places.take(OTHER).unwrap();
        assert_eq!(new.place.open_to, OpenTo::Everyone);
        assert!(gave_way(&many[1]).await, "the longest wait without a key");
        assert!(!gave_way(&alone).await && !gave_way(&many[0]).await && !gave_way(&many[2]).await);
        drop(many.remove(1));
        assert_eq!(places.taken().turns.len(), 4, "a place is not freed twice");
    }

    #[tokio::test]
    async fn a_connection_keeps_its_place_until_what_it_sent_is_read() {
        let places = Places::new(2, 2);
        let (new, waits) = (places.take(ONE).unwrap(), silent(places.take(ONE)));
        assert_eq!(places.take(ONE).unwrap().place.open_to, OpenTo::Everyone);
        assert!(gave_way(&waits).await && !gave_way(&new).await);
    }

    #[tokio::test]
    async fn a_wait_counts_from_the_last_request() {
        let places = Places::new(2, 2);
        let (used, waits) = (silent(places.take(ONE)), silent(places.take(ONE)));
        let used = answered(used);
        used.place.awaits_bytes(true);
        let _new = places.take(ONE).unwrap();
        assert!(gave_way(&waits).await && !gave_way(&used).await);
        let _newer = places.take(ONE).unwrap();
        assert!(gave_way(&used).await);
    }

    #[tokio::test]
    async fn strangers_hear_late_that_they_made_room_unless_they_wait_between_requests() {
        let places = Places::new(5, 5);
        let holds: Vec<_> = (0..5).map(|_| silent(places.take(ONE))).collect();
        let [silent, asks, idle, reads_not, known] = &holds[..] else { panic!("five") };
        asks.place.begins_early();
        asks.place.awaits_bytes(true);
        for answered in [idle, reads_not] {
            answered.place.begins_early();
            answered.place.ends_request();
        }
        reads_not.place.awaits_reader(true);
        known.place.note_known();
        let _new: Vec<_> = (0..5).map(|_| places.take(ONE).unwrap()).collect();
        for (hold, late) in [(silent, true), (asks, true), (idle, false), (reads_not, true), (known, false)] {
            assert!(gave_way(hold).await);
            assert_eq!(hold.place.ends_late(), late, "{}", hold.place.number);
        }
    }

    #[test]
    fn networks_without_connections_are_forgotten() {
        let places = Places::new(4, 4);
        for _ in 0..3 {
            drop([ONE, ONE, OTHER].map(|address| silent(places.take(address))));
        }
        let taken = places.taken();
        assert!(taken.turns.is_empty() && taken.networks.is_empty() && taken.busiest.is_empty());
    }

    #[tokio::test]
    async fn a_network_with_its_share_makes_room_itself() {
        let places = Places::new(10, 2);
        let (first, _second) = (silent(places.take(ONE)), silent(places.take(ONE)));
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
        assert!(places.take(OTHER).is_some(), "a waiting connection is closed there, too");
    }

    #[test]
    fn sites_share_by_address_or_by_64_bits() {
        let network = |address: &str| network(address.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::3"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::3"), network("2001:db8:1:3::3"));
        assert_eq!(network("::ffff:10.0.0.1"), ONE);
    }
}
