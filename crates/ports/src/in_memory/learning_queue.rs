use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Episode, EpisodeId, Error, ProfileKey, Space, Timestamp};
use uuid::Uuid;

use super::InMemoryEngine;
use crate::{
    ClaimedBatch, FactTarget, LearningQueue, Lease, Outcome, Parked, Queued, RevisionSet, Trigger, Waiting,
    assigned, unique_id,
};

/// The queues of all profiles.
#[derive(Default)]
pub(super) struct Queue {
    /// In the order in which they were first seen; messages name them by their place here.
    profiles: Vec<Profile>,
    messages: BTreeMap<(usize, EpisodeId), Message>,
}

struct Profile {
    key: ProfileKey,
    lease: Option<Lease>,
    /// In microseconds of the epoch.
    leased_until: i64,
}

struct Message {
    queued_at: Timestamp,
    attempts: u32,
    /// Not before this moment, in microseconds of the epoch.
    due: i64,
    parked: Option<String>,
    /// The attempt that is under way, or whose end is not known.
    call: Option<Uuid>,
}

impl Message {
    fn is_ready(&self, now: i64) -> bool {
        self.parked.is_none() && self.due <= now
    }
}

impl Queue {
    /// The place of a profile, made when it is new.
    pub(super) fn profile(&mut self, key: &ProfileKey) -> usize {
        self.find(key).unwrap_or_else(|| {
            self.profiles.push(Profile { key: key.clone(), lease: None, leased_until: 0 });
            self.profiles.len() - 1
        })
    }

    fn find(&self, key: &ProfileKey) -> Option<usize> {
        self.profiles.iter().position(|profile| profile.key == *key)
    }

    /// Queues a message for a profile.
    pub(super) fn add(&mut self, episode: &Episode, target: FactTarget) {
        let FactTarget { owner, category } = target;
        let key = ProfileKey { space: episode.space.clone(), owner, category };
        self.insert(&key, episode.id, episode.ingested_at, 0, None);
    }

    fn insert(
        &mut self,
        key: &ProfileKey,
        id: EpisodeId,
        queued_at: Timestamp,
        attempts: u32,
        parked: Option<String>,
    ) {
        let message = Message { queued_at, attempts, due: queued_at.as_micros(), parked, call: None };
        let profile = self.profile(key);
        self.messages.entry((profile, id)).or_insert(message);
    }

    /// Removes what waits to be learned from in a space.
    pub(super) fn forget_space(&mut self, space: &Space) {
        let profiles = &self.profiles;
        self.messages.retain(|(profile, _), _| profiles[*profile].key.space != *space);
    }

    /// Removes a deleted message.
    pub(super) fn forget(&mut self, id: EpisodeId) {
        self.messages.retain(|(_, queued), _| *queued != id);
    }

    fn ready(&self, profile: usize, now: i64) -> impl Iterator<Item = (EpisodeId, &Message)> {
        let of_profile = self.messages.iter().filter(move |((owner, _), _)| *owner == profile);
        of_profile.filter(move |(_, message)| message.is_ready(now)).map(|((_, id), message)| (*id, message))
    }

    /// Since when the profile's first message waits, if the profile is due.
    fn due_since(&self, profile: usize, trigger: Trigger, now: i64) -> Option<Timestamp> {
        if self.profiles[profile].leased_until > now {
            return None;
        }
        let since = self.ready(profile, now).map(|(_, message)| message.queued_at).min()?;
        let old = since.as_micros() <= now.saturating_sub(micros(trigger.age));
        let enough = self.ready(profile, now).count() >= trigger.messages;
        let tried =
            self.ready(profile, now).any(|(_, message)| message.attempts > 0 || message.call.is_some());
        (enough || old || tried).then_some(since)
    }

    fn claim(&mut self, trigger: Trigger, now: Timestamp, lease: Duration) -> Option<ClaimedBatch> {
        let micros_now = now.as_micros();
        let due = (0..self.profiles.len())
            .filter_map(|profile| Some((self.due_since(profile, trigger, micros_now)?, profile)));
        let (_, profile) = due.min()?;
        let first =
            self.ready(profile, micros_now).min_by_key(|(id, message)| (message.call.is_none(), *id))?;
        let (attempts, begun) = (first.1.attempts, first.1.call);
        let most = if begun.is_some() { usize::MAX } else { assigned(attempts) };
        let together = self.ready(profile, micros_now);
        let together = together.filter(|(_, message)| (message.attempts, message.call) == (attempts, begun));
        let episodes: Vec<EpisodeId> = together.map(|(id, _)| id).take(most).collect();
        let call = begun.unwrap_or_else(|| unique_id(now));
        for id in &episodes {
            if let Some(message) = self.messages.get_mut(&(profile, *id)) {
                message.attempts += 1;
                message.call = Some(call);
            }
        }
        let held = Lease::new(now);
        let profile = &mut self.profiles[profile];
        profile.lease = Some(held);
        profile.leased_until = micros_now.saturating_add(micros(lease));
        let subject = profile.key.clone();
        Some(ClaimedBatch { lease: held, call, subject, episodes, attempt: attempts + 1 })
    }

    /// The place of the profile that is leased, unless the lease was lost.
    fn leased(&self, batch: &ClaimedBatch) -> Option<usize> {
        self.find(&batch.subject).filter(|profile| self.profiles[*profile].lease == Some(batch.lease))
    }

    fn end_lease(&mut self, profile: usize) {
        let profile = &mut self.profiles[profile];
        (profile.lease, profile.leased_until) = (None, 0);
    }

    fn finish(&mut self, profile: usize, batch: &ClaimedBatch) {
        for id in &batch.episodes {
            self.messages.remove(&(profile, *id));
        }
        self.end_lease(profile);
    }

    fn put_back(&mut self, batch: &ClaimedBatch, outcome: &Outcome) {
        let Some(profile) = self.leased(batch) else { return };
        let before = batch.attempt.saturating_sub(1);
        for id in &batch.episodes {
            let message = self.messages.get_mut(&(profile, *id));
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
        self.end_lease(profile);
    }

    /// The messages of a space or of all, by profile and id.
    fn of_space(&self, space: Option<&Space>) -> impl Iterator<Item = (&ProfileKey, EpisodeId, &Message)> {
        let named =
            self.messages.iter().map(|((profile, id), message)| (&self.profiles[*profile].key, *id, message));
        named.filter(move |(key, _, _)| space.is_none_or(|space| key.space == *space))
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
        let Some(profile) = state.queue.leased(batch) else { return Ok(false) };
        state.revise(set);
        state.queue.finish(profile, batch);
        Ok(true)
    }

    async fn put_back(&self, batch: &ClaimedBatch, outcome: &Outcome) -> Result<(), Error> {
        self.state().queue.put_back(batch, outcome);
        Ok(())
    }

    async fn end_leases(&self) -> Result<(), Error> {
        let queue = &mut self.state().queue;
        (0..queue.profiles.len()).for_each(|profile| queue.end_lease(profile));
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
        let parked = state.queue.of_space(space).filter_map(|(key, episode, message)| {
            let reason = message.parked.clone()?;
            let parked = Parked { subject: key.clone(), episode, attempts: message.attempts, reason };
            Some((message.queued_at, parked))
        });
        let mut parked: Vec<_> = parked.collect();
        // Stable: messages of the same moment and id stay in the order of their profiles.
        parked.sort_by_key(|(queued_at, parked)| (*queued_at, parked.episode));
        Ok(parked.into_iter().map(|(_, parked)| parked).take(limit).collect())
    }

    async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error> {
        let Queue { profiles, messages } = &mut self.state().queue;
        let mut unparked = 0;
        for ((profile, _), message) in messages {
            let matches = space.is_none_or(|space| profiles[*profile].key.space == *space);
            if matches && message.parked.take().is_some() {
                message.attempts = 0;
                unparked += 1;
            }
        }
        Ok(unparked)
    }

    async fn queue(&self, after: Option<&Queued>, limit: usize) -> Result<Vec<Queued>, Error> {
        let state = self.state();
        let after = after.and_then(|last| Some((state.queue.find(&last.subject)?, last.episode)));
        let later =
            state.queue.messages.iter().filter(|(place, _)| after.is_none_or(|after| **place > after));
        let queued = later.map(|((profile, episode), message)| Queued {
            subject: state.queue.profiles[*profile].key.clone(),
            episode: *episode,
            since: message.queued_at,
            attempts: message.attempts,
            parked: message.parked.clone(),
        });
        Ok(queued.take(limit).collect())
    }

    async fn enqueue(&self, queued: &[Queued]) -> Result<(), Error> {
        let mut state = self.state();
        for Queued { subject, episode, since, attempts, parked } in queued {
            if state.episode(&subject.space, *episode).is_some() {
                state.queue.insert(subject, *episode, *since, *attempts, parked.clone());
            }
        }
        Ok(())
    }
}
