//! `GET /v1/memories/profile` and `DELETE /v1/memories/profile/{id}`, additions of ours.

use axum::Json;
use axum::extract::State;
use memcloud_ports::FactsOf;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::V1;
use super::fact::FactBody;
use super::list::space;
use crate::allowed::{Allowed, Read, Write};
use crate::failure::{Failure, FailureBody};
use crate::fields::{PathId, Place, QueryFields};

/// Facts.
#[derive(Serialize, ToSchema)]
#[schema(as = Facts)]
pub(super) struct FactsBody {
    /// In the order in which they were learned.
    facts: Vec<FactBody>,
}

/// Lists what was learned of people in a group: what holds now, or what held at some time. An addition to the first API.
#[utoipa::path(
    get,
    path = "/v1/memories/profile",
    operation_id = "list_facts",
    tag = "profile",
    params(
        ("group_id" = Option<String>, Query, description = "The group. Default: `default`."),
        ("user_id" = Option<String>, Query, description = "Whom the facts are about. Default: everyone."),
        ("as_of" = Option<String>, Query, description = "A time: the facts that held then. RFC 3339; UTC without a zone."),
    ),
    responses(
        (status = 200, description = "The facts.", body = FactsBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn list(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    mut query: QueryFields,
) -> Result<Json<FactsBody>, Failure> {
    let owners = query.text("user_id")?.map(|name| vec![name]);
    let as_of = query.text("as_of")?.map(|text| {
        text.parse().map_err(|error| Place::query().at("as_of").refuse(&error, &Value::from(text)))
    });
    let as_of = as_of.transpose()?;
    let of = FactsOf { space: space(&allowed, &mut query)?, owners, category: None, as_of };
    let facts = v1.app.memory.facts(&of).await?;
    Ok(Json(FactsBody { facts: facts.into_iter().map(FactBody::from).collect() }))
}

/// That it is gone.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedFact)]
pub(super) struct DeletedFactBody {
    /// Always 1.
    deleted: u64,
}

/// Deletes one fact for good, whether it holds or held. An addition to the first API.
#[utoipa::path(
    delete,
    path = "/v1/memories/profile/{id}",
    operation_id = "delete_fact",
    tag = "profile",
    params(
        ("id" = i64, Path, description = "The number of the fact."),
        ("group_id" = Option<String>, Query, description = "The group it was learned in. Default: `default`."),
    ),
    responses(
        (status = 200, description = "It is gone.", body = DeletedFactBody),
        (status = 404, description = "The group has no such fact.", body = FailureBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn delete(
    allowed: Allowed<Write>,
    State(v1): State<V1>,
    PathId(id): PathId,
    mut query: QueryFields,
) -> Result<Json<DeletedFactBody>, Failure> {
    let space = space(&allowed, &mut query)?;
    let id = id.parse().map_err(|error| Place::path("id").refuse(&error, &Value::from(id)))?;
    let there = v1.app.memory.forget_fact(&space, id).await?;
    there.then_some(Json(DeletedFactBody { deleted: 1 })).ok_or_else(Failure::no_fact)
}
