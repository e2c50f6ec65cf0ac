use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memcloud_domain::{Clock, Timestamp};

/// How many wrong passwords in a row cost nothing: people mistype.
const FREE: u32 = 5;
/// The same of an address for all names together. All users behind a proxy have one address.
const FREE_OF_ADDRESS: u32 = 100;
/// The longest pause of an address, and of a user name.
const LONGEST_OF_ADDRESS: Duration = Duration::from_mins(5);
const LONGEST_OF_NAME: Duration = Duration::from_mins(1);
/// Wrong passwords are forgotten after this time without another one.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);
/// How many names, addresses and pairs of them are remembered: about a megabyte.
const REMEMBERED: usize = 20_000;

/// Slows sign-in attempts down.
///
/// After five wrong passwords in a row the next attempt must wait: one second, then twice as long each time. Three counts
/// decide:
///
/// - that of a **user name from an address**: up to five minutes. An IPv6 network of 64 bits is one address, since one
///   customer has all of it;
/// - that of an **address**, whatever names it tries: the same, after a hundred;
/// - that of a **user name**, whatever addresses try it: up to a minute. It concerns only addresses that gave a wrong password
///   for this name before.
///
/// So many addresses together have one attempt each, and then about one a minute for a name. The owner of a name who knows
/// the password signs in at once from another address, however long an attack lasts. Behind the same address as the
/// attacker, as behind a proxy, the owner of that name waits as the attacker does, and others only once the attacker has
/// tried a hundred times.
///
/// An attempt that is refused is not counted, and does not prolong a pause. An attempt counts as wrong from its start until
/// [`Self::succeeded`], so that attempts side by side are no way around. A restart of the console forgets all counts.
pub struct Throttle {
    clock: Arc<dyn Clock>,
    /// Names are kept as hashes with a random key: they take the same room however long they are.
    hasher: RandomState,
    failures: Mutex<HashMap<Key, Failures>>,
}

/// Who failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Name(u64),
    /// A name that was tried from an address.
    Pair(u64, IpAddr),
}

/// Wrong passwords in a row.
#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Throttle {
    /// A throttle that has seen no attempt.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, hasher: RandomState::new(), failures: Mutex::default() }
    }

    /// Admits an attempt, which counts as wrong until [`Self::succeeded`], and returns how many wrong ones in a row the
    /// address has with it. `Err` is how long to wait before the next attempt.
    pub fn admit(&self, name: &str, from: IpAddr) -> Result<u32, Duration> {
        let [address, name, pair] = self.keys(name, from);
        let now = self.clock.now();
        let mut failures = self.failures();
        let wait = |key, free, longest| {
            failures.get(&key).map_or(Duration::ZERO, |past| past.wait(free, longest, now))
        };
        let by_address = wait(address, FREE_OF_ADDRESS, LONGEST_OF_ADDRESS);
        let by_pair = wait(pair, FREE, LONGEST_OF_ADDRESS);
        let has_failed = failures.get(&pair).is_some_and(|past| !past.is_forgotten(now));
        let by_name = if has_failed { wait(name, FREE, LONGEST_OF_NAME) } else { Duration::ZERO };
        let wait = by_address.max(by_pair).max(by_name);
        if !wait.is_zero() {
            return Err(wait);
        }
        for key in [name, pair, address] {
            make_room(&mut failures, key, now);
            let past = failures.get(&key).filter(|past| !past.is_forgotten(now));
            let count = past.map_or(0, |past| past.count).saturating_add(1);
            failures.insert(key, Failures { count, last: now });
        }
        Ok(failures.get(&address).map_or(1, |past| past.count))
    }

    /// Notes that an attempt had the right password: its name and its address start again.
    pub fn succeeded(&self, name: &str, from: IpAddr) {
        let mut failures = self.failures();
        for key in self.keys(name, from) {
            failures.remove(&key);
        }
    }

    fn keys(&self, name: &str, from: IpAddr) -> [Key; 3] {
        // Names differ without regard to case, as in the store.
        let (name, from) = (self.hasher.hash_one(name.to_ascii_lowercase()), network(from));
        [Key::Address(from), Key::Name(name), Key::Pair(name, from)]
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    /// How long the next attempt must wait.
    fn wait(&self, free: u32, longest: Duration, now: Timestamp) -> Duration {
        let Some(beyond) = self.count.checked_sub(free) else { return Duration::ZERO };
        let pause = Duration::from_secs(1 << beyond.min(16)).min(longest);
        pause.saturating_sub(self.age(now))
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.age(now) >= FORGOTTEN_AFTER
    }

    /// The time since the last one; none when the clock was set back.
    fn age(&self, now: Timestamp) -> Duration {
        let micros = now.as_micros().saturating_sub(self.last.as_micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }
}

/// Forgets what is old when there are too many, and half of the rest when that is not enough: those with the fewest wrong
/// passwords first, of these the oldest.
fn make_room(failures: &mut HashMap<Key, Failures>, key: Key, now: Timestamp) {
    if failures.len() < REMEMBERED || failures.contains_key(&key) {
        return;
    }
    failures.retain(|_, past| !past.is_forgotten(now));
    if failures.len() >= REMEMBERED {
        let mut all: Vec<_> = failures.iter().map(|(key, past)| (past.count, past.last, *key)).collect();
        all.sort_unstable_by_key(|(count, last, _)| (*count, *last));
        for (.., key) in &all[..REMEMBERED / 2] {
            failures.remove(key);
        }
    }
}

/// The address, or the network of 64 bits that an IPv6 address is in.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    struct Manual(AtomicI64);

    impl Manual {
        fn pass(&self, time: Duration) {
            self.0.fetch_add(time.as_micros() as i64, Ordering::Relaxed);
        }
    }

    impl Clock for Manual {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed)).unwrap()
        }
    }

    fn throttle() -> (Throttle, Arc<Manual>) {
        let clock = Arc::new(Manual(AtomicI64::new(1_700_000_000_000_000)));
        (Throttle::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn address(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_after_five_wrong_passwords_in_a_row() {
        let (throttle, clock) = throttle();
        let from = address(1);
        for count in 1..=5 {
            assert_eq!(throttle.admit("ann", from), Ok(count));
        }
        for (doublings, count) in (6..=13).enumerate() {
            let pause = Duration::from_secs(1 << doublings);
            assert_eq!(throttle.admit("ann", from), Err(pause), "refused attempts do not prolong it");
            clock.pass(pause / 2);
            assert_eq!(throttle.admit("ann", from), Err(pause / 2));
            clock.pass(pause / 2);
            assert_eq!(throttle.admit("ann", from), Ok(count));
        }
        assert_eq!(throttle.admit("ann", from), Err(Duration::from_secs(256)));
        clock.pass(Duration::from_secs(256));
        throttle.admit("ann", from).unwrap();
        assert_eq!(throttle.admit("ann", from), Err(LONGEST_OF_ADDRESS));
    }

    #[test]
    fn a_right_password_after_the_pause_starts_again() {
        let (throttle, clock) = throttle();
        let from = address(1);
        while throttle.admit("ann", from).is_ok() {}
        clock.pass(SECOND);
        throttle.admit("ann", from).unwrap();
        throttle.succeeded("ANN", from);
        for count in 1..=5 {
            assert_eq!(throttle.admit("ann", from), Ok(count));
        }
    }

    #[test]
    fn a_thousand_wrong_passwords_from_everywhere_do_not_lock_the_owner_out() {
        let (throttle, clock) = throttle();
        let mut admitted = 0;
        for attempt in 0..1_000_u32 {
            admitted += u32::from(throttle.admit("ann", address((attempt % 200) as u8)).is_ok());
            clock.pass(SECOND / 10);
        }
        assert!((200..230).contains(&admitted), "one each, then a few: {admitted}");
        let home = [192, 168, 1, 7].into();
        throttle.admit("ann", home).unwrap();
        throttle.succeeded("ann", home);
    }

    #[test]
    fn a_thousand_wrong_passwords_at_once_from_one_address_are_five_for_a_name_and_a_hundred_for_all() {
        let (throttle, _) = throttle();
        let tries = |names: u32| {
            let throttle = &throttle;
            (0..1_000).filter(move |attempt| {
                let name = format!("{names}-{}", attempt % names);
                throttle.admit(&name, address(names as u8)).is_ok()
            })
        };
        assert_eq!((tries(1).count(), tries(10).count(), tries(250).count()), (5, 50, 100));
    }

    #[test]
    fn an_attack_on_one_name_does_not_slow_others_behind_the_same_proxy_down() {
        let (throttle, _) = throttle();
        while throttle.admit("ann", address(1)).is_ok() {}
        throttle.admit("bob", address(1)).unwrap();
    }

    #[test]
    fn signing_in_as_oneself_does_not_help_to_guess_another_password() {
        let (throttle, _) = throttle();
        let mut admitted = 0;
        for _ in 0..100 {
            if throttle.admit("mallory", address(1)).is_ok() {
                throttle.succeeded("mallory", address(1));
            }
            admitted += u32::from(throttle.admit("ann", address(1)).is_ok());
        }
        assert_eq!(admitted, 5);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (throttle, _) = throttle();
        let from = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, last]);
        let admitted = (0..100).filter(|last| throttle.admit("ann", from(*last)).is_ok()).count();
        assert_eq!(admitted, 5);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let (throttle, clock) = throttle();
        while throttle.admit("ann", address(1)).is_ok() {}
        for number in 0..100_000_u32 {
            let _ = throttle.admit("ann", IpAddr::from(number.to_be_bytes()));
        }
        assert!(throttle.failures().len() <= REMEMBERED);
        assert!(throttle.admit("ann", address(1)).is_err(), "those with most wrong passwords are kept");
        clock.pass(FORGOTTEN_AFTER);
        assert_eq!(throttle.admit("ann", address(1)), Ok(1));
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_pause_beyond_its_length() {
        let (throttle, clock) = throttle();
        while throttle.admit("ann", address(1)).is_ok() {}
        clock.0.fetch_sub(3_600_000_000, Ordering::Relaxed);
        assert_eq!(throttle.admit("ann", address(1)), Err(SECOND));
    }
}
