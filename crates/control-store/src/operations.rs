use async_trait::async_trait;
use memcloud_control::operations::{Event, StepRecord, StepState};
use memcloud_control::{
    AuditEntry, Error, InstanceChange, InstanceId, Operation, OperationId, OperationKind, OperationState,
    OperationStore, OrganizationId, Page, PageQuery, Reason, State,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::SqliteControlStore;
use crate::audit::record;
use crate::change::{change, set_state};
use crate::error::{WorkError, is_taken};
use crate::prune::prune_operations;
use crate::row::{limit, maybe_time, micros, page, parsed, reason, time, unreadable};

#[async_trait]
impl OperationStore for SqliteControlStore {
    async fn begin_operation(&self, operation: &Operation, audit: &AuditEntry) -> Result<(), Error> {
        let (operation, audit) = (operation.clone(), audit.clone());
        self.work("keeping a new operation", move |tx| {
            insert_operation(tx, &operation)?;
            queue_instance(tx, &operation)?;
            record(tx, &audit)
        })
        .await
    }

    async fn operation(&self, id: &OperationId) -> Result<Operation, Error> {
        let id = id.clone();
        self.work("reading an operation", move |tx| read(tx, &id)).await
    }

    async fn operations(
        &self,
        organization: &OrganizationId,
        instance: Option<&InstanceId>,
        query: &PageQuery,
    ) -> Result<Page<Operation>, Error> {
        let (organization, instance, query) = (organization.clone(), instance.cloned(), query.clone());
        self.work("reading operations", move |tx| {
            let (before, id) = query.cursor.as_deref().and_then(|at| at.split_once('/')).unwrap_or_default();
            let before = if id.is_empty() { i64::MAX } else { before.parse().unwrap_or(0) };
            let mut select = tx.prepare_cached(
                "SELECT * FROM operations
                 WHERE organization = ?1 AND (?2 IS NULL OR instance = ?2) AND (created_at, id) < (?3, ?4)
                 ORDER BY created_at DESC, id DESC LIMIT ?5",
            )?;
            let instance = instance.as_ref().map(InstanceId::as_str);
            let rows = select
                .query_map(params![organization.as_str(), instance, before, id, limit(&query)], operation)?;
            let mut found = rows.collect::<Result<Vec<_>, _>>()?;
            found.iter_mut().try_for_each(|operation| read_steps(tx, operation))?;
            let at = |last: &Operation| format!("{}/{}", last.created_at.as_micros(), last.id);
            Ok(page(&query, found, at))
        })
        .await
    }

    async fn unfinished_operations(&self) -> Result<Vec<Operation>, Error> {
        self.work("reading unfinished operations", |tx| {
            let mut select = tx.prepare_cached(
                "SELECT * FROM operations WHERE state IN ('queued', 'running', 'undoing') ORDER BY created_at, id",
            )?;
            let mut found = select.query_map([], operation)?.collect::<Result<Vec<_>, _>>()?;
            found.iter_mut().try_for_each(|operation| read_steps(tx, operation))?;
            Ok(found)
        })
        .await
    }

    async fn journal_step(
        &self,
        operation: &OperationId,
        step: &StepRecord,
        event: &Event,
        state: Option<State>,
    ) -> Result<(), Error> {
        let (operation, step, event) = (operation.clone(), step.clone(), event.clone());
        self.work("writing a step to the journal", move |tx| {
            update_step(tx, &operation, &step)?;
            insert_event(tx, &operation, &event)?;
            match state {
                Some(state) => set_state(tx, &instance_of(tx, &operation)?, state, None, event.at),
                None => Ok(()),
            }
        })
        .await
    }

    async fn journal_event(&self, operation: &OperationId, event: &Event) -> Result<(), Error> {
        let (operation, event) = (operation.clone(), event.clone());
        self.work("writing an event to the journal", move |tx| insert_event(tx, &operation, &event)).await
    }

    async fn journal_operation(
        &self,
        operation: &OperationId,
        state: OperationState,
        reason: Option<&Reason>,
        event: &Event,
        changed: &InstanceChange,
    ) -> Result<(), Error> {
        let (operation, reason, event) = (operation.clone(), reason.cloned(), event.clone());
        let changed = changed.clone();
        self.work("writing the state of an operation", move |tx| {
            let ended = state.has_ended().then(|| event.at.as_micros());
            let (message, hint) = reason.map(|reason| (reason.message, reason.hint)).unzip();
            tx.prepare_cached(
                "UPDATE operations SET state = ?2, message = ifnull(?3, message), hint = ifnull(?4, hint), ended_at = ?5
                 WHERE id = ?1",
            )?
            .execute(params![operation.as_str(), <&str>::from(state), message, hint, ended])?;
            insert_event(tx, &operation, &event)?;
            change(tx, &instance_of(tx, &operation)?, &changed, event.at)
        })
        .await
    }

    async fn cancel_operation(&self, id: &OperationId, audit: &AuditEntry) -> Result<(), Error> {
        let (id, audit) = (id.clone(), audit.clone());
        self.work("cancelling an operation", move |tx| {
            let operation = read(tx, &id)?;
            if operation.state.has_ended() {
                let message = format!("the operation has ended: it {}", past(operation.state));
                let hint = "retry it, or begin another one".to_owned();
                return Err(Error::WrongState { message, hint }.into());
            }
            tx.execute("UPDATE operations SET cancel = 1 WHERE id = ?1", [id.as_str()])?;
            record(tx, &audit)
        })
        .await
    }

    async fn retry_operation(&self, id: &OperationId, audit: &AuditEntry) -> Result<(), Error> {
        let (id, audit) = (id.clone(), audit.clone());
        self.work("queueing an operation again", move |tx| retry(tx, &id, &audit)).await
    }

    async fn events(&self, id: &OperationId, after: u64, limit: usize) -> Result<Vec<Event>, Error> {
        let id = id.clone();
        self.work("reading events", move |tx| {
            let mut select = tx.prepare_cached(
                "SELECT * FROM events WHERE operation = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
            )?;
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = select.query_map(params![id.as_str(), after, limit], event)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Keeps an operation with its steps. Only one of an instance may be open.
pub(crate) fn insert_operation(tx: &Connection, operation: &Operation) -> Result<(), WorkError> {
    let inserted = tx
        .prepare_cached(
            "INSERT INTO operations (id, organization, instance, kind, state, on_failure, cancel, actor, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            operation.id.as_str(),
            operation.organization.as_str(),
            operation.instance.as_str(),
            <&str>::from(operation.kind),
            <&str>::from(operation.state),
            <&str>::from(operation.on_failure),
            operation.cancel,
            operation.actor,
            operation.created_at.as_micros(),
        ]);
    match inserted {
        Err(error) if is_taken(&error) => return Err(busy(tx, &operation.instance)?.into()),
        inserted => inserted?,
    };
    let mut insert = tx.prepare_cached(
        "INSERT INTO steps (operation, position, name, planned, state) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (position, step) in (0_i64..).zip(&operation.steps) {
        let planned = serde_json::to_string(&step.planned)?;
        let state = <&str>::from(step.state);
        insert.execute(params![operation.id.as_str(), position, step.planned.name, planned, state])?;
    }
    prune_operations(tx, operation)
}

/// The refusal of a second operation: it names the first.
fn busy(tx: &Connection, instance: &InstanceId) -> Result<Error, WorkError> {
    let open = "SELECT id FROM operations WHERE instance = ?1 AND state IN ('queued', 'running', 'undoing')";
    Ok(Error::Busy(tx.query_row(open, [instance.as_str()], |row| parsed(row, "id"))?))
}

/// Sets what the instance is and should be while an operation waits for its turn.
fn queue_instance(tx: &Connection, operation: &Operation) -> Result<(), WorkError> {
    match operation.kind {
        OperationKind::Verify | OperationKind::Recover => Ok(()),
        kind => set_state(tx, &operation.instance, State::Queued, kind.wants(), operation.created_at),
    }
}

fn retry(tx: &Connection, id: &OperationId, audit: &AuditEntry) -> Result<(), WorkError> {
    let operation = read(tx, id)?;
    let wrong = |message: &str, hint: &str| {
        WorkError::from(Error::WrongState { message: message.into(), hint: hint.into() })
    };
    if !matches!(operation.state, OperationState::Failed | OperationState::Cancelled) {
        return Err(wrong(
            "only an operation that failed or was cancelled can be retried",
            "wait for its end",
        ));
    }
    let newest = "SELECT id FROM operations WHERE instance = ?1 ORDER BY created_at DESC, id DESC LIMIT 1";
    if tx.query_row(newest, [operation.instance.as_str()], |row| parsed::<OperationId>(row, "id"))? != *id {
        let hint = "retry the newest operation of the instance, or begin another one";
        return Err(wrong("a newer operation of the instance exists", hint));
    }
    tx.execute(
        "UPDATE operations SET state = 'queued', message = NULL, hint = NULL, cancel = 0, ended_at = NULL WHERE id = ?1",
        [id.as_str()],
    )?;
    tx.execute(
        "UPDATE steps SET state = 'pending', message = NULL, hint = NULL WHERE operation = ?1 AND state <> 'done'",
        [id.as_str()],
    )?;
    queue_instance(tx, &operation)?;
    record(tx, audit)
}

fn past(state: OperationState) -> &'static str {
    match state {
        OperationState::Succeeded => "succeeded",
        OperationState::Cancelled => "was cancelled",
        _ => "failed",
    }
}

fn read(tx: &Connection, id: &OperationId) -> Result<Operation, WorkError> {
    let mut select = tx.prepare_cached("SELECT * FROM operations WHERE id = ?1")?;
    let found = select.query_row([id.as_str()], operation).optional()?;
    let mut found = found.ok_or(Error::NotFound("operation"))?;
    read_steps(tx, &mut found)?;
    Ok(found)
}

fn read_steps(tx: &Connection, operation: &mut Operation) -> Result<(), WorkError> {
    let mut select = tx.prepare_cached("SELECT * FROM steps WHERE operation = ?1 ORDER BY position")?;
    operation.steps = select.query_map([operation.id.as_str()], step)?.collect::<Result<_, _>>()?;
    Ok(())
}

fn instance_of(tx: &Connection, operation: &OperationId) -> Result<InstanceId, WorkError> {
    let mut select = tx.prepare_cached("SELECT instance FROM operations WHERE id = ?1")?;
    let found = select.query_row([operation.as_str()], |row| parsed(row, "instance")).optional()?;
    Ok(found.ok_or(Error::NotFound("operation"))?)
}

fn update_step(tx: &Connection, operation: &OperationId, step: &StepRecord) -> Result<(), WorkError> {
    let (message, hint) = step.reason.as_ref().map(|reason| (&reason.message, &reason.hint)).unzip();
    let changed = tx
        .prepare_cached(
            "UPDATE steps SET state = ?3, outputs = ?4, message = ?5, hint = ?6, started_at = ?7, ended_at = ?8
             WHERE operation = ?1 AND name = ?2",
        )?
        .execute(params![
            operation.as_str(),
            step.planned.name,
            <&str>::from(step.state),
            step.outputs.as_ref().map(ToString::to_string),
            message,
            hint,
            micros(step.started_at),
            micros(step.ended_at),
        ])?;
    if changed == 0 { Err(Error::NotFound("step").into()) } else { Ok(()) }
}

fn insert_event(tx: &Connection, operation: &OperationId, event: &Event) -> Result<(), WorkError> {
    tx.prepare_cached(
        "INSERT INTO events (operation, number, at, kind, step, state, message)
         SELECT ?1, ifnull(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM events WHERE operation = ?1",
    )?
    .execute(params![
        operation.as_str(),
        event.at.as_micros(),
        <&str>::from(event.kind),
        event.step,
        event.state,
        event.message,
    ])?;
    Ok(())
}

fn operation(row: &Row<'_>) -> rusqlite::Result<Operation> {
    Ok(Operation {
        id: parsed(row, "id")?,
        organization: parsed(row, "organization")?,
        instance: parsed(row, "instance")?,
        kind: parsed(row, "kind")?,
        state: parsed(row, "state")?,
        on_failure: parsed(row, "on_failure")?,
        steps: Vec::new(),
        reason: reason(row)?,
        cancel: row.get("cancel")?,
        actor: row.get("actor")?,
        created_at: time(row, "created_at")?,
        ended_at: maybe_time(row, "ended_at")?,
    })
}

fn step(row: &Row<'_>) -> rusqlite::Result<StepRecord> {
    let planned: String = row.get("planned")?;
    let outputs: Option<String> = row.get("outputs")?;
    let read = |error: serde_json::Error| unreadable(format!("a step: {error}"));
    Ok(StepRecord {
        planned: serde_json::from_str(&planned).map_err(read)?,
        state: parsed::<StepState>(row, "state")?,
        outputs: outputs.map(|outputs| serde_json::from_str(&outputs).map_err(read)).transpose()?,
        reason: reason(row)?,
        started_at: maybe_time(row, "started_at")?,
        ended_at: maybe_time(row, "ended_at")?,
    })
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        number: row.get::<_, i64>("number")? as u64,
        at: time(row, "at")?,
        kind: parsed(row, "kind")?,
        step: row.get("step")?,
        state: row.get("state")?,
        message: row.get("message")?,
    })
}
