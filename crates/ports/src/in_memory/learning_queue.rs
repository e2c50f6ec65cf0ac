use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Episode, EpisodeId, Error, FactTarget, Space, Timestamp};
use uuid::Uuid;

use super::InMemoryEngine;
use crate::{
    ClaimedBatch, LearningQueue, Lease, Outcome, Parked, Queued, RevisionSet, Trigger, Waiting, assigned,
    unique_id,
};

/// The queues of all targets.
#[derive(Default)]
pub(super) struct Queue {
    /// By their place in the order in which they were first seen. Messages name them by that.
    targets: BTreeMap<usize, Leasable>,
    /// The place of the next target.
    next: usize,
    messages: BTreeMap<(usize, EpisodeId), Message>,
}

/// A target with its lease.
struct Leasable {
    target: FactTarget,
    lease: Option<Lease>,
    /// In microseconds of the epoch.
    leased_until: i64,
}

struct Message {
    space: Space,
    queued_at: Timestamp,
    attempts: u32,
    /// Not before this moment, in microseconds of the epoch.
    due: i64,
    parked: Option<String>,
    /// The attempt that is under way, or whose end is not known.
    call: Option<Uuid>,
}

impl Message {
    fn new(space: &Space, queued_at: Timestamp) -> Self {
        let (space, due) = (space.clone(), queued_at.as_micros());
        Self { space, queued_at, attempts: 0, due, parked: None, call: None }
    }

    fn is_ready(&self, now: i64) -> bool {
        self.parked.is_none() && self.due <= now
    }
}

impl Queue {
    /// The place of a target, made when it is new.
    pub(super) fn make_target(&mut self, target: &FactTarget) -> usize {
        self.find(target).unwrap_or_else(|| {
            self.next += 1;
            let target = Leasable { target: target.clone(), lease: None, leased_until: 0 };
            self.targets.insert(self.next, target);
            self.next
        })
    }

    fn find(&self, target: &FactTarget) -> Option<usize> {
        self.targets.iter().find(|(_, known)| known.target == *target).map(|(place, _)| *place)
    }

    /// Queues a message for a target.
    pub(super) fn add(&mut self, episode: &Episode, target: usize) {
        let message = Message::new(&episode.space, episode.ingested_at);
        self.messages.entry((target, episode.id)).or_insert(message);
    }

    /// Removes the targets of a space, and the messages of that space.
    pub(super) fn forget_space(&mut self, space: &Space) {
        self.messages.retain(|_, message| message.space != *space);
        self.forget_targets(|target| target.set.scope.is(space));
    }

    /// Removes targets with the messages that wait for them.
    pub(super) fn forget_targets(&mut self, is_gone: impl Fn(&FactTarget) -> bool) {
        self.targets.retain(|_, known| !is_gone(&known.target));
        let targets = &self.targets;
        self.messages.retain(|(place, _), _| targets.contains_key(place));
    }

    /// Removes a deleted message.
    pub(super) fn forget(&mut self, id: EpisodeId) {
        self.messages.retain(|(_, queued), _| *queued != id);
    }

    fn ready(&self, target: usize, now: i64) -> impl Iterator<Item = (EpisodeId, &Message)> {
        let of_target = self.messages.iter().filter(move |((place, _), _)| *place == target);
        of_target.filter(move |(_, message)| message.is_ready(now)).map(|((_, id), message)| (*id, message))
    }

    /// Since when the target's first message waits, if the target is due.
    fn due_since(&self, target: usize, trigger: Trigger, now: i64) -> Option<Timestamp> {
        if self.targets[&target].leased_until > now {
            return None;
        }
        let since = self.ready(target, now).map(|(_, message)| message.queued_at).min()?;
        let old = since.as_micros() <= now.saturating_sub(micros(trigger.age));
        let enough = self.ready(target, now).count() >= trigger.messages;
        let tried =
            self.ready(target, now).any(|(_, message)| message.attempts > 0 || message.call.is_some());
        (enough || old || tried).then_some(since)
    }

    fn claim(&mut self, trigger: Trigger, now: Timestamp, lease: Duration) -> Option<ClaimedBatch> {
        let micros_now = now.as_micros();
        let targets = self.targets.keys();
        let due = targets.filter_map(|&target| Some((self.due_since(target, trigger, micros_now)?, target)));
        let (_, target) = due.min()?;
        let first =
            self.ready(target, micros_now).min_by_key(|(id, message)| (message.call.is_none(), *id))?;
        let (attempts, begun, space) = (first.1.attempts, first.1.call, first.1.space.clone());
        let most = if begun.is_some() { usize::MAX } else { assigned(attempts) };
        let together = self.ready(target, micros_now).filter(|(_, message)| {
            (message.attempts, message.call, &message.space) == (attempts, begun, &space)
        });
        let episodes: Vec<EpisodeId> = together.map(|(id, _)| id).take(most).collect();
        let call = begun.unwrap_or_else(|| unique_id(now));
        for id in &episodes {
            if let Some(message) = self.messages.get_mut(&(target, *id)) {
                message.attempts += 1;
                message.call = Some(call);
            }
        }
        let held = Lease::new(now);
        let known = self.targets.get_mut(&target)?;
        known.lease = Some(held);
        known.leased_until = micros_now.saturating_add(micros(lease));
        let target = known.target.clone();
        Some(ClaimedBatch { lease: held, call, target, space, episodes, attempt: attempts + 1 })
    }

    /// The place of the target that is leased, unless the lease was lost.
    fn leased(&self, batch: &ClaimedBatch) -> Option<usize> {
        self.find(&batch.target).filter(|target| self.targets[target].lease == Some(batch.lease))
    }

    fn end_lease(&mut self, target: usize) {
        if let Some(known) = self.targets.get_mut(&target) {
            (known.lease, known.leased_until) = (None, 0);
        }
    }

    fn finish(&mut self, target: usize, batch: &ClaimedBatch) {
        for id in &batch.episodes {
            self.messages.remove(&(target, *id));
        }
        self.end_lease(target);
    }

    fn put_back(&mut self, batch: &ClaimedBatch, outcome: &Outcome) {
        let Some(target) = self.leased(batch) else { return };
        let before = batch.attempt.saturating_sub(1);
        for id in &batch.episodes {
            let message = self.messages.get_mut(&(target, *id));
            let Some(message) = message.filter(|message| message.parked.is_none()) else { continue };
            message.call = None;
            match outcome {
                Outcome::Interrupted => (message.attempts, message.call) = (before, Some(batch.call)),
                Outcome::Retry(due) => (message.attempts, message.due) = (before, due.as_micros()),
                Outcome::Failed(due) => (message.attempts, message.due) = (before + 1, due.as_micros()),
                Outcome::Parked(reason) => {
                    (message.attempts, message.parked) = (before + 1, Some(reason.clone()));
                }
            }
        }
        self.end_lease(target);
    }

    /// The messages for the sets of a space or for all, by target and id.
    fn of_space(&self, space: Option<&Space>) -> impl Iterator<Item = (&FactTarget, EpisodeId, &Message)> {
        let named =
            self.messages.iter().map(|((place, id), message)| (&self.targets[place].target, *id, message));
        named.filter(move |(target, _, _)| space.is_none_or(|space| target.set.scope.is(space)))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[async_trait]
impl LearningQueue for InMemoryEngine {
    async fn claim(
        &self,
        trigger: Trigger,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<ClaimedBatch>, Error> {
        Ok(self.state().queue.claim(trigger, now, lease))
    }

    async fn learn(&self, batch: &ClaimedBatch, set: &RevisionSet) -> Result<bool, Error> {
        let mut state = self.state();
        let Some(target) = state.queue.leased(batch) else { return Ok(false) };
        state.revise(set);
        state.queue.finish(target, batch);
        Ok(true)
    }

    async fn put_back(&self, batch: &ClaimedBatch, outcome: &Outcome) -> Result<(), Error> {
        self.state().queue.put_back(batch, outcome);
        Ok(())
    }

    async fn end_leases(&self) -> Result<(), Error> {
        let queue = &mut self.state().queue;
        for known in queue.targets.values_mut() {
            (known.lease, known.leased_until) = (None, 0);
        }
        Ok(())
    }

    async fn waiting(&self, space: Option<&Space>) -> Result<Waiting, Error> {
        let state = self.state();
        let messages = || state.queue.of_space(space).map(|(_, _, message)| message);
        let parked = messages().filter(|message| message.parked.is_some()).count() as u64;
        let waiting = || messages().filter(|message| message.parked.is_none());
        let since = waiting().map(|message| message.queued_at).min();
        Ok(Waiting { waiting: waiting().count() as u64, since, parked })
    }

    async fn parked(&self, space: Option<&Space>, limit: usize) -> Result<Vec<Parked>, Error> {
        let state = self.state();
        let parked = state.queue.of_space(space).filter_map(|(target, episode, message)| {
            let reason = message.parked.clone()?;
            let parked = Parked { target: target.clone(), episode, attempts: message.attempts, reason };
            Some((message.queued_at, parked))
        });
        let mut parked: Vec<_> = parked.collect();
        // Stable: messages of the same moment and id stay in the order of their targets.
        parked.sort_by_key(|(queued_at, parked)| (*queued_at, parked.episode));
        Ok(parked.into_iter().map(|(_, parked)| parked).take(limit).collect())
    }

    async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error> {
        let Queue { targets, messages, .. } = &mut self.state().queue;
        let mut unparked = 0;
        for ((place, _), message) in messages {
            let matches = space.is_none_or(|space| targets[place].target.set.scope.is(space));
            if matches && message.parked.take().is_some() {
                message.attempts = 0;
                unparked += 1;
            }
        }
        Ok(unparked)
    }

    async fn queue(&self, after: Option<&Queued>, limit: usize) -> Result<Vec<Queued>, Error> {
        let state = self.state();
        let after = after.and_then(|last| Some((state.queue.find(&last.target)?, last.episode)));
        let later =
            state.queue.messages.iter().filter(|(place, _)| after.is_none_or(|after| **place > after));
        let queued = later.map(|((place, episode), message)| Queued {
            target: state.queue.targets[place].target.clone(),
            episode: *episode,
            since: message.queued_at,
            attempts: message.attempts,
            parked: message.parked.clone(),
        });
        Ok(queued.take(limit).collect())
    }

    async fn enqueue(&self, queued: &[Queued]) -> Result<(), Error> {
        let mut state = self.state();
        for Queued { target, episode, since, attempts, parked } in queued {
            let Some(row) = state.episodes.get(episode) else { continue };
            let space = row.episode.space.clone();
            if target.set.scope.contains(&space) {
                let message =
                    Message { attempts: *attempts, parked: parked.clone(), ..Message::new(&space, *since) };
                let target = state.make_target(target);
                state.queue.messages.entry((target, *episode)).or_insert(message);
            }
        }
        Ok(())
    }
}
