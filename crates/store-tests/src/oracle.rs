//! Any engine answers as the engine in memory does, after any history of operations.

use std::collections::BTreeSet;
use std::time::Duration;

use half::f16;
use memcloud_domain::{
    ApiKey, EpisodeId, Error, Fact, FactScope, FactSet, FactTarget, KeyHash, KeyId, Metadata, Right, Space,
};
use memcloud_ports::{
    AdminRule, Appended, Batch, Budget, Charge, ClaimedBatch, Cursor, EpisodesOf, FactChanges, FactsOf,
    Idempotency, InMemoryEngine, NewFact, Outcome, Position, Queued, Revision, RevisionSet, SessionsOf,
    Trigger,
};
use proptest::prelude::*;
use serde_json::json;

use crate::Store;
use crate::revisions::{Step, numbered, revision, steps};
use crate::samples::{batch, clock, episode, minute, space};

/// The names of categories in histories.
const CATEGORY_NAMES: [&str; 2] = ["profile", "work"];

/// The names of people in histories.
const NAMES: [&str; 5] = ["ann", "bob", "bot", "producer-0", "producer-1"];

/// An operation on an engine. Numbers pick from what exists at that moment.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Stores messages: session, purpose of each, whether they have vectors, and an idempotency key.
    Append(u8, Vec<u8>, bool, Option<(u8, u8)>),
    /// Deletes some messages.
    Delete(Vec<usize>),
    /// Deletes the messages of a session.
    DeleteSession(u8),
    /// Removes a session, if it has no messages.
    RemoveSessions(u8),
    /// Deletes the messages of a person, and what is known about them.
    ForgetPerson(usize),
    /// Sets the vectors of some messages.
    Embed(BTreeSet<usize>),
    /// Ties the engine to one of two vector spaces.
    BindVectorSpace(bool),
    /// Revises the facts of a target.
    Revise(usize, Vec<Step>),
    /// Adds a fact by hand: its target, its number and a message that it cites.
    AddFact(usize, u8, Option<usize>),
    /// Changes a fact: which one, what, and to what.
    UpdateFact(usize, u8, u8),
    /// Changes the categories.
    Catalog(CatalogOperation),
    /// Deletes a fact.
    DeleteFact(usize),
    /// Writes the facts and the queue back, as a copy from another engine does.
    Copy,
    /// Claims a batch this many minutes later.
    Claim(i64),
    /// Finishes a claimed batch.
    Learn(usize, Vec<Step>),
    /// Puts a claimed batch back.
    PutBack(usize, u8),
    /// Unparks messages.
    Unpark(bool),
    /// Ends all leases.
    EndLeases,
    /// Charges the budget at a minute: calls and tokens.
    Spend(i64, u8, u8),
    /// Corrects the counts of a minute.
    Correct(i64, i8, i8),
    /// Creates a key with some rights.
    CreateKey(u8, u8),
    /// Revokes a key.
    RevokeKey(u8),
    /// Records the use of a key, and prunes old keys.
    UseAndPruneKeys(u8),
}

/// Any history of operations.
pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let append = (0..3u8, prop::collection::vec(0..6u8, 1..5), any::<bool>(), idempotency());
    let some = || prop::collection::vec(any::<usize>(), 1..4);
    let operation = prop_oneof![
        8 => append.prop_map(|(s, purposes, embedded, key)| Operation::Append(s, purposes, embedded, key)),
        2 => some().prop_map(Operation::Delete),
        1 => (0..3u8).prop_map(Operation::DeleteSession),
        1 => (0..3u8).prop_map(Operation::RemoveSessions),
        1 => (0..10usize).prop_map(Operation::ForgetPerson),
        2 => prop::collection::btree_set(any::<usize>(), 1..4).prop_map(Operation::Embed),
        1 => any::<bool>().prop_map(Operation::BindVectorSpace),
        3 => (0..3usize, steps()).prop_map(|(target, steps)| Operation::Revise(target, steps)),
        2 => (0..12usize, 0..9u8, prop::option::of(any::<usize>()))
            .prop_map(|(target, fact, cited)| Operation::AddFact(target, fact, cited)),
        1 => (any::<usize>(), 0..6u8, 0..9u8).prop_map(|(fact, field, to)| Operation::UpdateFact(fact, field, to)),
        4 => catalog::operations().prop_map(Operation::Catalog),
        1 => any::<usize>().prop_map(Operation::DeleteFact),
        1 => Just(Operation::Copy),
        4 => (0..400i64).prop_map(Operation::Claim),
        2 => (any::<usize>(), steps()).prop_map(|(claimed, steps)| Operation::Learn(claimed, steps)),
        2 => (any::<usize>(), 0..4u8).prop_map(|(claimed, outcome)| Operation::PutBack(claimed, outcome)),
        1 => any::<bool>().prop_map(Operation::Unpark),
        1 => Just(Operation::EndLeases),
        1 => (0..200i64, 0..6u8, any::<u8>()).prop_map(|(at, calls, tokens)| Operation::Spend(at, calls, tokens)),
        1 => (0..200i64, any::<i8>(), any::<i8>()).prop_map(|(at, c, t)| Operation::Correct(at, c, t)),
        2 => (0..4u8, 0..4u8).prop_map(|(name, rights)| Operation::CreateKey(name, rights)),
        1 => (0..4u8).prop_map(Operation::RevokeKey),
        1 => (0..4u8).prop_map(Operation::UseAndPruneKeys),
    ];
    prop::collection::vec(operation, 1..40)
}

fn idempotency() -> impl Strategy<Value = Option<(u8, u8)>> {
    prop::option::of((0..3u8, 0..2u8))
}

/// Runs any history on an engine and on the engine in memory. Every operation and every read answers the same.
pub async fn answers_equal_the_oracle(engine: Store, operations: Vec<Operation>) {
    let mut pair = Pair {
        engine,
        oracle: InMemoryEngine::engine(clock()),
        spaces: [space("one"), space("two")],
        ids: Vec::new(),
        facts: Vec::new(),
        claims: Vec::new(),
        now: 0,
    };
    for operation in operations {
        pair.run(&operation).await;
        pair.assert_equal_reads(&operation).await;
    }
}

struct Pair {
    engine: Store,
    oracle: Store,
    spaces: [Space; 2],
    ids: Vec<EpisodeId>,
    facts: Vec<Fact>,
    /// Batches as the engine and as the oracle claimed them.
    claims: Vec<(ClaimedBatch, ClaimedBatch)>,
    /// The minute.
    now: i64,
}

fn answer<T>(result: Result<T, Error>) -> Result<T, &'static str> {
    result.map_err(|error| error.code())
}

/// Runs one call on both engines, and checks that the answers are equal.
macro_rules! both {
    ($pair:ident, $what:expr, |$store:ident| $call:expr) => {{
        let $store = &$pair.engine;
        let engine = answer($call.await);
        let $store = &$pair.oracle;
        let oracle = answer($call.await);
        assert_eq!(engine, oracle, "{:?}", $what);
        engine
    }};
}

mod catalog;
pub use catalog::CatalogOperation;

impl Pair {
    fn id(&self, number: usize) -> EpisodeId {
        let unknown = || EpisodeId::new(minute(-1), 0);
        self.ids.get(number % (self.ids.len() + 1)).copied().unwrap_or_else(unknown)
    }

    fn space_of(&self, session: u8) -> Space {
        self.spaces[usize::from(session / 2)].clone()
    }

    /// A batch in one of three sessions, of which the first two are in the same space.
    fn batch(&mut self, session: u8, purposes: &[u8], embedded: bool, key: Option<(u8, u8)>) -> Batch {
        use memcloud_domain::Purpose::{ProfileOnly, Recall, Transcript};
        let space = self.space_of(session);
        let first = self.now;
        self.now += purposes.len() as i64;
        let episodes = (first..).zip(purposes).map(|(n, purpose)| {
            let mut episode = episode(&space, &format!("session-{session}"), n);
            episode.purpose =
                [Recall, Recall, Recall, ProfileOnly, Transcript, Recall][usize::from(*purpose)];
            // Out of order, and some at the same moment.
            episode.created_at = minute(n * 7 % 20);
            episode
        });
        let mut batch = batch(episodes.collect());
        for (prepared, purpose) in batch.episodes.iter_mut().zip(purposes) {
            let owner = ["ann", "bob"][usize::from(purpose % 2)].to_owned();
            if *purpose != 4 {
                prepared.fact_targets.push(FactTarget {
                    set: FactSet::about(&space, owner),
                    category: CATEGORY_NAMES[usize::from(purpose / 3)].into(),
                });
            }
            if !embedded {
                prepared.vector = None;
            }
        }
        batch.idempotency = key.map(|(key, request)| Idempotency { key: [key; 32], request: [request; 32] });
        batch
    }

    async fn run(&mut self, operation: &Operation) {
        match operation {
            Operation::Append(session, purposes, embedded, key) => {
                let batch = self.batch(*session, purposes, *embedded, *key);
                let ids: Vec<EpisodeId> = batch.episodes.iter().map(|new| new.episode.id).collect();
                let stored = both!(self, operation, |store| store.episodes.append(batch.clone()));
                if stored == Ok(Appended::Stored) {
                    self.ids.extend(ids);
                }
            }
            Operation::Delete(numbers) => {
                let ids: Vec<EpisodeId> = numbers.iter().map(|number| self.id(*number)).collect();
                for space in &self.spaces {
                    both!(self, operation, |store| store.episodes.delete(space, &ids)).unwrap();
                }
            }
            Operation::DeleteSession(session) => {
                let (space, name) = (self.space_of(*session), format!("session-{session}"));
                self.delete_all(operation, &space, &EpisodesOf::Session(name)).await;
            }
            Operation::RemoveSessions(session) => {
                let (space, name) = (self.space_of(*session), format!("session-{session}"));
                let names = [name, "unknown".to_owned()];
                both!(self, operation, |store| store.sessions.remove_sessions(&space, &names)).unwrap();
            }
            Operation::ForgetPerson(number) => {
                let (space, name) = (&self.spaces[number % 2].clone(), NAMES[number % NAMES.len()]);
                self.delete_all(operation, space, &EpisodesOf::Person(name.to_owned())).await;
                both!(self, operation, |store| store.sessions.remove_person(space, name)).unwrap();
            }
            Operation::Embed(numbers) => {
                let ids: BTreeSet<EpisodeId> = numbers.iter().map(|number| self.id(*number)).collect();
                let vector = [0.8, 0.6].map(f16::from_f32).to_vec();
                let vectors: Vec<_> = ids.into_iter().map(|id| (id, vector.clone())).collect();
                both!(self, operation, |store| store.vectors.set_vectors(vectors.clone())).unwrap();
            }
            Operation::BindVectorSpace(first) => {
                let space = if *first { "first/model/2" } else { "second/model/2" };
                let _ = both!(self, operation, |store| store.vectors.bind_vector_space(space));
            }
            _ => self.run_on_profiles(operation).await,
        }
    }

    async fn delete_all(&self, operation: &Operation, space: &Space, of: &EpisodesOf) {
        let found = both!(self, operation, |store| store.episodes.select(space, of)).unwrap();
        both!(self, operation, |store| store.episodes.delete(space, &found.ids)).unwrap();
    }

    async fn run_on_profiles(&mut self, operation: &Operation) {
        match operation {
            Operation::Revise(target, steps) => {
                let set = self.revisions(&self.target(*target), steps);
                both!(self, operation, |store| store.facts.revise(&set)).unwrap();
            }
            Operation::DeleteFact(number) if !self.facts.is_empty() => {
                let id = self.facts[number % self.facts.len()].id;
                let scope = self.set(*number).scope;
                both!(self, operation, |store| store.facts.delete_fact(&scope, id)).unwrap();
            }
            Operation::AddFact(target, fact, cited) => {
                let (target, at) = (self.target(*target), minute(self.now));
                let new = new_fact(*fact, cited.map(|message| self.id(message)));
                both!(self, operation, |store| store.facts.add_fact(&target, &new, at)).unwrap();
            }
            Operation::UpdateFact(number, field, to) if !self.facts.is_empty() => {
                let id = self.facts[number % self.facts.len()].id;
                let (scope, changes) = (self.set(*number).scope, self.changes(*field, *to));
                both!(self, operation, |store| store.facts.update_fact(&scope, id, &changes)).unwrap();
            }
            Operation::Catalog(operation) => self.run_on_catalog(operation).await,
            Operation::Copy => {
                let facts = self.oracle.facts.all_facts(None, 1_000).await.unwrap();
                let queue = self.oracle.learning.queue(None, 1_000).await.unwrap();
                both!(self, operation, |store| store.facts.put_facts(&facts)).unwrap();
                both!(self, operation, |store| store.learning.enqueue(&queue)).unwrap();
            }
            Operation::Claim(minutes) => self.claim(*minutes).await,
            Operation::Learn(number, steps) if !self.claims.is_empty() => {
                let (engine, oracle) = self.claims[number % self.claims.len()].clone();
                let set = self.revisions(&engine.target, steps);
                let learned = answer(self.engine.learning.learn(&engine, &set).await);
                assert_eq!(learned, answer(self.oracle.learning.learn(&oracle, &set).await), "{operation:?}");
            }
            Operation::PutBack(number, outcome) if !self.claims.is_empty() => {
                let (engine, oracle) = self.claims[number % self.claims.len()].clone();
                let later = minute(self.now + 30);
                let outcomes = [
                    Outcome::Retry(later),
                    Outcome::Interrupted,
                    Outcome::Failed(later),
                    Outcome::Parked("the model's answer is unreadable".into()),
                ];
                let outcome = &outcomes[usize::from(*outcome)];
                self.engine.learning.put_back(&engine, outcome).await.unwrap();
                self.oracle.learning.put_back(&oracle, outcome).await.unwrap();
            }
            Operation::Unpark(all) => {
                let space = (!all).then_some(&self.spaces[0]);
                both!(self, operation, |store| store.learning.unpark(space)).unwrap();
            }
            Operation::EndLeases => {
                both!(self, operation, |store| store.learning.end_leases()).unwrap();
            }
            _ => self.run_on_the_rest(operation).await,
        }
    }

    async fn run_on_the_rest(&mut self, operation: &Operation) {
        match *operation {
            Operation::Spend(at, calls, tokens) => {
                let charge = Charge { at: minute(self.now + at), calls: calls.into(), tokens: tokens.into() };
                let budget =
                    Budget { calls_per_minute: Some(7), tokens_per_day: Some(500), ..Budget::default() };
                both!(self, operation, |store| store.usage.spend(charge, &budget)).unwrap();
            }
            Operation::Correct(at, calls, tokens) => {
                let at = minute(self.now + at);
                both!(self, operation, |store| store.usage.correct(at, calls.into(), tokens.into())).unwrap();
            }
            Operation::CreateKey(name, rights) => {
                let known = self.oracle.keys.keys().await.unwrap().readable;
                let key = self.key(name, rights);
                if known.iter().all(|known| known.id != key.id) {
                    let rule = AdminRule::Required;
                    both!(self, operation, |store| store.keys.create_key(key.clone(), rule)).unwrap();
                }
            }
            Operation::RevokeKey(name) => {
                let (id, at, rule) = (key_id(name), minute(self.now), AdminRule::Required);
                both!(self, operation, |store| store.keys.revoke_key(&id, at, rule)).unwrap();
            }
            Operation::UseAndPruneKeys(name) => {
                let (id, at, before) = (key_id(name), minute(self.now), minute(self.now - 10));
                both!(self, operation, |store| store.keys.note_key_use(&id, at)).unwrap();
                both!(self, operation, |store| store.keys.prune_keys(before)).unwrap();
            }
            _ => {}
        }
    }

    fn changes(&self, field: u8, to: u8) -> FactChanges {
        let text = || Some(to.to_string());
        let mut changes =
            FactChanges { vector: Some([0.8, 0.6].map(f16::from_f32).to_vec()), ..FactChanges::default() };
        match field {
            0 => changes.category = Some(CATEGORY_NAMES[usize::from(to % 2)].into()),
            1 => changes.tag = text(),
            2 => (changes.name, changes.vector) = (text(), None),
            3 => changes.value = text(),
            4 => changes.metadata = Some(Metadata::new()),
            _ => changes.citations = Some(vec![self.id(to.into()), self.id(usize::from(to) + 1)]),
        }
        changes
    }

    fn key(&self, name: u8, rights: u8) -> ApiKey {
        let rights = [&Right::ALL[..], &[Right::Read], &[Right::Write], &[Right::Admin]][usize::from(rights)];
        ApiKey {
            id: key_id(name),
            name: format!("key {name}"),
            hash: KeyHash([name; 32]),
            rights: rights.iter().copied().collect(),
            spaces: (name == 3).then(|| vec![self.spaces[0].clone()]),
            created_at: minute(self.now),
            last_used_at: None,
            expires_at: (name == 2).then(|| minute(self.now + 15)),
            revoked_at: None,
        }
    }

    /// One of twelve targets: two categories of six sets.
    fn target(&self, number: usize) -> FactTarget {
        FactTarget { set: self.set(number / 2), category: CATEGORY_NAMES[number % 2].into() }
    }

    /// One of six sets: about people and as a whole, in two spaces and an organization.
    fn set(&self, number: usize) -> FactSet {
        let [one, two] = &self.spaces;
        match number % 6 {
            0 => FactSet::about(one, "ann"),
            1 => FactSet::about(one, "bob"),
            2 => FactSet::about(two, "ann"),
            3 => FactSet::of(one),
            4 => FactSet::of(FactScope::organization(&one.org)),
            _ => FactSet {
                metadata: FactSet::about(one, "ann").metadata,
                ..FactSet::of(FactScope::organization(&one.org))
            },
        }
    }

    fn revisions(&self, target: &FactTarget, steps: &[Step]) -> RevisionSet {
        let revise = |step| -> Option<Revision> {
            (!self.ids.is_empty()).then(|| revision(step, &self.facts, &self.ids))
        };
        RevisionSet {
            target: target.clone(),
            revisions: steps.iter().filter_map(revise).collect(),
            at: minute(self.now),
            prompt: "profile/1".into(),
            model: "a/model".into(),
        }
    }

    /// The names of leases and calls differ between the engines. Two batches have the same call in one engine if they
    /// have it in the other.
    async fn claim(&mut self, minutes: i64) {
        self.now += minutes;
        let trigger = Trigger { messages: 3, age: Duration::from_mins(10) };
        let (now, lease) = (minute(self.now), Duration::from_mins(5));
        let engine = self.engine.learning.claim(trigger, now, lease).await.unwrap();
        let oracle = self.oracle.learning.claim(trigger, now, lease).await.unwrap();
        let content = |claimed: &ClaimedBatch| {
            (claimed.target.clone(), claimed.space.clone(), claimed.episodes.clone(), claimed.attempt)
        };
        assert_eq!(engine.as_ref().map(content), oracle.as_ref().map(content));
        let (Some(engine), Some(oracle)) = (engine, oracle) else { return };
        for (engine_before, oracle_before) in &self.claims {
            assert_eq!(engine_before.call == engine.call, oracle_before.call == oracle.call);
        }
        self.claims.push((engine, oracle));
    }

    async fn assert_equal_reads(&mut self, operation: &Operation) {
        let sets: Vec<FactSet> = (0..6).map(|number| self.set(number)).collect();
        let reads = Reads { ids: &self.ids, spaces: &self.spaces, sets: &sets, now: self.now };
        let (engine, oracle) = (reads.all(&self.engine).await, reads.all(&self.oracle).await);
        for (engine, oracle) in engine.iter().zip(&oracle) {
            assert_eq!(engine, oracle, "after {operation:?}");
        }
        let facts = self.oracle.facts.all_facts(None, 1_000).await.unwrap();
        self.facts = facts.into_iter().map(|fact| fact.fact).collect();
    }
}

fn new_fact(fact: u8, cited: Option<EpisodeId>) -> NewFact {
    let metadata = json!({"n": fact, "b": null}).as_object().unwrap().clone();
    NewFact { metadata, ..numbered(fact, i64::from(fact), &cited.into_iter().collect::<Vec<_>>()) }
}

fn key_id(name: u8) -> KeyId {
    format!("k{name}").parse().unwrap()
}

/// Everything that can be read, as text.
struct Reads<'a> {
    ids: &'a [EpisodeId],
    spaces: &'a [Space],
    sets: &'a [FactSet],
    now: i64,
}

impl Reads<'_> {
    async fn all(&self, store: &Store) -> Vec<String> {
        let mut reads = Vec::new();
        for space in self.spaces {
            self.of_space(store, space, &mut reads).await;
        }
        let mut add = |what: &str, read: String| reads.push(format!("{what}: {read}"));
        add("counts", format!("{:?}", store.episodes.counts().await.unwrap()));
        for of in [SessionsOf::Everyone, SessionsOf::User("ann".into()), SessionsOf::Agent("ann".into())] {
            add(
                "sessions",
                format!("{:?}", store.sessions.sessions(&of, None, 1_000).await.unwrap().sessions),
            );
        }
        add("without vector", format!("{:?}", store.vectors.without_vector(3).await.unwrap()));
        add("vector space", format!("{:?}", store.vectors.vector_space().await.unwrap()));
        add("facts", format!("{:?}", store.facts.all_facts(None, 1_000).await.unwrap()));
        add("waiting", format!("{:?}", store.learning.waiting(None).await.unwrap()));
        add("queue", format!("{:?}", queue(store).await));
        add("usage", format!("{:?}", store.usage.usage(minute(self.now)).await.unwrap()));
        add("keys", format!("{:?}", store.keys.keys().await.unwrap()));
        for key in 0..3 {
            let idempotency = Idempotency { key: [key; 32], request: [0; 32] };
            add("repeated", format!("{:?}", answer(store.episodes.repeated(idempotency).await)));
        }
        self.catalog(store, &mut reads).await;
        reads
    }

    async fn of_space(&self, store: &Store, space: &Space, reads: &mut Vec<String>) {
        let mut add = |what: &str, read: String| reads.push(format!("{what} of {space}: {read}"));
        let head = store.history.head(space).await.unwrap();
        add("head", head.to_string());
        add(
            "changes",
            format!("{:?}", store.history.changes(space, Position::default(), 1_000).await.unwrap()),
        );
        add(
            "later changes",
            format!("{:?}", store.history.changes(space, Position::after(head / 2), 2).await.unwrap()),
        );
        add("episodes", format!("{:?}", store.episodes.episodes(space, self.ids).await.unwrap()));
        let page = store.episodes.page(space, None, None, 3).await.unwrap();
        let after = page.last().map(|last| Cursor { created_at: last.created_at.as_micros(), id: last.id });
        add("page", format!("{page:?}"));
        add("next page", format!("{:?}", store.episodes.page(space, None, after, 3).await.unwrap()));
        for session in ["session-0", "session-1", "session-2"] {
            add("session", format!("{:?}", store.sessions.session(space, session, 1_000).await.unwrap()));
            add(
                "its page",
                format!("{:?}", store.episodes.page(space, Some(session), after, 3).await.unwrap()),
            );
            add("its newest", format!("{:?}", store.episodes.newest(space, session, 3).await.unwrap()));
        }
        for as_of in [None, Some(minute(10))] {
            let of = FactsOf { as_of, ..FactsOf::space(space) };
            add("facts", format!("{:?}", store.facts.facts(&of).await.unwrap()));
        }
        add("waiting", format!("{:?}", store.learning.waiting(Some(space)).await.unwrap()));
        add("parked", format!("{:?}", store.learning.parked(Some(space), 1_000).await.unwrap()));
    }
}

/// The queue, read in pages, by target and message: engines order targets as they like.
async fn queue(store: &Store) -> Vec<Queued> {
    let mut all: Vec<Queued> = Vec::new();
    loop {
        let page = store.learning.queue(all.last(), 4).await.unwrap();
        if page.is_empty() {
            all.sort_by(|a, b| (&a.target, a.episode).cmp(&(&b.target, b.episode)));
            return all;
        }
        all.extend(page);
    }
}
