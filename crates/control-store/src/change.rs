//! Changes of an instance, inside the transaction of what causes them.

use memcloud_control::instances::Wanted;
use memcloud_control::{Error, InstanceChange, InstanceId, State};
use memcloud_domain::Timestamp;
use rusqlite::{Connection, params};

use crate::error::WorkError;

/// Changes what is given.
pub(crate) fn change(
    tx: &Connection,
    id: &InstanceId,
    change: &InstanceChange,
    at: Timestamp,
) -> Result<(), WorkError> {
    if *change == InstanceChange::default() {
        return Ok(());
    }
    let (state, reason) = change.state.as_ref().map(|(state, reason)| (<&str>::from(*state), reason)).unzip();
    let reason = reason.and_then(Option::as_ref);
    let changed = tx
        .prepare_cached(
            "UPDATE instances SET
                 wanted = ifnull(?2, wanted),
                 message = iif(?3 IS NULL, message, ?4),
                 hint = iif(?3 IS NULL, hint, ?5),
                 changed_at = iif(ifnull(?3, state) <> state, ?9, changed_at),
                 state = ifnull(?3, state),
                 url = ifnull(?6, url),
                 version = ifnull(?7, version),
                 placement = ifnull(?8, placement),
                 topology = ifnull(?10, topology),
                 has_llm = ifnull(?11, has_llm)
             WHERE id = ?1",
        )?
        .execute(params![
            id.as_str(),
            change.wanted.map(<&str>::from),
            state,
            reason.map(|reason| &reason.message),
            reason.map(|reason| &reason.hint),
            change.url,
            change.version,
            change.placement.as_ref().map(ToString::to_string),
            at.as_micros(),
            change.topology.map(<&str>::from),
            change.has_llm,
        ])?;
    if changed == 0 { Err(Error::NotFound("instance").into()) } else { Ok(()) }
}

/// Sets the state alone: that of a phase of an operation.
pub(crate) fn set_state(
    tx: &Connection,
    id: &InstanceId,
    state: State,
    wanted: Option<Wanted>,
    at: Timestamp,
) -> Result<(), WorkError> {
    change(tx, id, &InstanceChange { state: Some((state, None)), wanted, ..InstanceChange::default() }, at)
}
