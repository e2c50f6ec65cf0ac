//! A batch as columns, for statements that insert many rows at once.

use std::collections::BTreeSet;

use memcloud_domain::{Member, Metadata, Purpose};
use memcloud_ports::Batch;
use pgvector::HalfVector;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::uuid;

/// The names of all sessions of a batch, in the order of their first mention.
pub(crate) fn session_names(batch: &Batch) -> Vec<&str> {
    let named = batch.sessions.iter().map(|(name, _)| name.as_str());
    let used = batch.episodes.iter().map(|prepared| prepared.episode.session.as_str());
    let mut seen = BTreeSet::new();
    named.chain(used).filter(|name| seen.insert(*name)).collect()
}

/// Who takes part in which session.
#[derive(Default)]
pub(crate) struct MemberColumns<'a> {
    pub(crate) sessions: Vec<&'a str>,
    pub(crate) roles: Vec<i16>,
    pub(crate) names: Vec<&'a str>,
}

impl<'a> MemberColumns<'a> {
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let mut columns = Self::default();
        for (session, members) in &batch.sessions {
            for member in members {
                columns.sessions.push(session);
                columns.roles.push(role(member));
                columns.names.push(member.name());
            }
        }
        columns
    }
}

/// How a member's role is written in the database.
pub(crate) fn role(member: &Member) -> i16 {
    match member {
        Member::User(_) => 0,
        Member::Agent(_) => 1,
    }
}

/// The episodes of a batch.
#[derive(Default)]
pub(crate) struct EpisodeColumns<'a> {
    pub(crate) uids: Vec<Uuid>,
    pub(crate) sessions: Vec<&'a str>,
    pub(crate) purposes: Vec<i16>,
    pub(crate) producers: Vec<&'a str>,
    pub(crate) recipients: Vec<&'a str>,
    pub(crate) roles: Vec<&'a str>,
    pub(crate) kinds: Vec<&'a str>,
    pub(crate) created_at: Vec<i64>,
    pub(crate) ingested_at: Vec<i64>,
    pub(crate) analyses: Vec<&'a [u8]>,
    pub(crate) vectors: Vec<Option<HalfVector>>,
    pub(crate) metadata: Vec<Json<&'a Metadata>>,
    pub(crate) contents: Vec<&'a str>,
}

impl<'a> EpisodeColumns<'a> {
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let mut columns = Self::default();
        for prepared in &batch.episodes {
            let episode = &prepared.episode;
            columns.uids.push(uuid(&episode.id));
            columns.sessions.push(&episode.session);
            columns.purposes.push(purpose(episode.purpose));
            columns.producers.push(&episode.producer);
            columns.recipients.push(&episode.produced_for);
            columns.roles.push(&episode.role);
            columns.kinds.push(&episode.kind);
            columns.created_at.push(episode.created_at.as_micros());
            columns.ingested_at.push(episode.ingested_at.as_micros());
            columns.analyses.push(&prepared.analysis);
            columns.vectors.push(prepared.vector.clone().map(HalfVector::from));
            columns.metadata.push(Json(&episode.metadata));
            columns.contents.push(&episode.content);
        }
        columns
    }
}

/// What is to be learned from the episodes of a batch.
#[derive(Default)]
pub(crate) struct LessonColumns<'a> {
    pub(crate) uids: Vec<Uuid>,
    pub(crate) owners: Vec<&'a str>,
    pub(crate) categories: Vec<&'a str>,
    pub(crate) queued_at: Vec<i64>,
}

impl<'a> LessonColumns<'a> {
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let mut columns = Self::default();
        for prepared in &batch.episodes {
            for lesson in &prepared.fact_targets {
                columns.uids.push(uuid(&prepared.episode.id));
                columns.owners.push(&lesson.owner);
                columns.categories.push(&lesson.category);
                columns.queued_at.push(prepared.episode.ingested_at.as_micros());
            }
        }
        columns
    }
}

/// How a purpose is written in the database.
fn purpose(purpose: Purpose) -> i16 {
    match purpose {
        Purpose::Recall => 0,
        Purpose::ProfileOnly => 1,
        Purpose::Transcript => 2,
    }
}
