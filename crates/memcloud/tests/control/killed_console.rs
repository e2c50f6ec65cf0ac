//! The process of the console is killed all along an operation. The next one goes on, and ends as if nothing had happened.

use std::fmt::Write as _;
use std::sync::PoisonError;
use std::time::Instant;

use memcloud_api::console::{Accepted, Instance, NewInstance, OperationEvent, Upgrade};
use memcloud_client::OperationsQuery;

use crate::console::{eventually, kill};
use crate::databases::{KILLS, database};
use crate::up::{There, Up, embedded, on_shared, say};

/// What an operation has left.
#[derive(Debug, PartialEq)]
struct Outcome {
    operation: String,
    /// Each step with its state.
    steps: Vec<(String, String)>,
    /// The state of the instance with its capabilities; nothing of one that is removed.
    state: Option<String>,
    capabilities: Vec<(String, String)>,
    there: There,
}

impl Up {
    fn upgrade(&self, instance: &Instance) -> Accepted {
        self.block_on(self.api.upgrade(&instance.id, &Upgrade::default()))
    }

    /// Follows an operation to its end. The console is killed after the first event of which this is true; returns what that
    /// event said.
    fn follow(&mut self, operation: &str, mut is_due: impl FnMut(&OperationEvent) -> bool) -> Option<String> {
        let (mut events, mut killed_after) = (self.api.events(operation, 0), None);
        let mut last = 0;
        while let Some(event) = self.block_on(events.next()) {
            assert_eq!(event.number, last + 1, "the journal goes on where it was: {event:?}");
            last = event.number;
            if is_due(&event) {
                self.kill_and_start();
                let of = event.step.unwrap_or(event.kind);
                killed_after = Some(format!("{of}: {} ({})", event.state, event.message));
            }
        }
        if killed_after.is_some() {
            self.is_ready();
        }
        killed_after
    }

    fn outcome(&self, begun: &Accepted) -> Outcome {
        let operation = self.operation(&begun.operation.id);
        let instance = self.instance(&begun.instance.id);
        let capabilities = instance.iter().flat_map(|instance| &instance.capabilities);
        Outcome {
            operation: format!("{} {}", operation.state, operation.kind),
            steps: operation.steps.into_iter().map(|step| (step.name, step.state)).collect(),
            capabilities: capabilities.map(|seen| (seen.name.clone(), seen.state.clone())).collect(),
            state: instance.map(|instance| instance.state),
            there: self.there(),
        }
    }
}

/// Makes, upgrades and removes an instance in rounds. In the first round nothing is killed, then the console after the first
/// such event of each operation, then after the second, until no operation has so many. Each round must end as the first.
fn kill_all_along(new: impl Fn(&str) -> NewInstance, is_such: impl Fn(&OperationEvent) -> bool) {
    let mut up = Up::start();
    let mut undisturbed = Vec::new();
    for round in 0.. {
        let (mut outcomes, mut kills) = (Vec::new(), 0);
        let mut end = |up: &mut Up, begun: &Accepted| {
            let (from, mut seen) = (Instant::now(), 0);
            let killed_after = up.follow(&begun.operation.id, |event| {
                seen += usize::from(is_such(event));
                is_such(event) && seen == round
            });
            up.ended_in_time(&begun.operation);
            let outcome = up.outcome(begun);
            let mut line = format!("{:7} {round:>2}", begun.operation.kind);
            if let Some(event) = killed_after {
                kills += 1;
                let _ = write!(line, "  killed after {event}");
            }
            say(&format!("{line}: {} in {} ms", outcome.operation, from.elapsed().as_millis()));
            outcomes.push(outcome);
        };
        let created = up.begin_create(&new(&format!("instance-{round}")));
        end(&mut up, &created);
        up.memcloud(&["add", "I moved to Lisbon in May", "--instance", &created.instance.name]);
        let upgraded = up.upgrade(&created.instance);
        end(&mut up, &upgraded);
        assert!(up.machine.processes().contains(&up.pid(&created.instance.id)));
        let found = up.memcloud(&["search", "Lisbon", "--instance", &created.instance.name]);
        assert_eq!(found.matches("I moved to Lisbon in May").count(), 1, "{found}");
        let removed = up.delete(&created.instance);
        end(&mut up, &removed);
        if round == 0 {
            let states: Vec<_> = outcomes.iter().map(|outcome| outcome.state.as_deref()).collect();
            assert_eq!(states, [Some("running"), Some("running"), None]);
            let There { processes, folders, ports, .. } = outcomes[2].there;
            assert_eq!((processes, folders, ports), (1, 1, 1), "the first instance alone");
            undisturbed = outcomes;
        } else {
            assert_eq!(outcomes, undisturbed, "killed after event {round}");
            if kills == 0 {
                break;
            }
        }
    }
}

#[test]
fn operations_of_a_killed_console_end_as_if_nothing_had_happened() {
    kill_all_along(embedded, |_| true);
}

#[test]
fn slow_operations_on_databases_of_a_killed_console_end_as_if_nothing_had_happened() {
    let _alone = KILLS.lock().unwrap_or_else(PoisonError::into_inner);
    let database = database();
    kill_all_along(
        |name| on_shared(&database, name),
        |event| event.kind == "step" && event.state == "running",
    );
    assert_eq!(database.execute("SELECT count(*) FROM memcloud.episodes"), "0", "all memories are removed");
}

#[test]
fn killed_instances_come_back_verified_also_under_the_next_console() {
    let mut up = Up::start();
    let id = up.create(&embedded("one")).id;
    up.memcloud(&["add", "I moved to Lisbon in May", "--instance", "one"]);
    for console in ["that started it", "that adopted it"] {
        let (killed, checked) = (up.pid(&id), up.memory_checked(&id));
        let query = OperationsQuery { instance: Some(id.clone()), limit: Some(1), cursor: None };
        let newest = || up.block_on(up.api.operations(&query)).operations.remove(0);
        let before = newest();
        let from = Instant::now();
        kill("KILL", killed);
        eventually("the death is seen", || newest().id != before.id);
        let (seen, recovers) = (from.elapsed(), newest());
        up.ended(&recovers);
        let back = from.elapsed();
        say(&format!(
            "killed under the console {console}: seen after {} ms, verified after {} ms",
            seen.as_millis(),
            back.as_millis()
        ));
        assert_eq!(recovers.kind, "recover");
        assert!(up.memory_checked(&id) > checked, "it is verified again");
        let process = up.pid(&id);
        assert_ne!(process, killed);
        assert!(up.memcloud(&["search", "Lisbon", "--instance", "one"]).contains("I moved to Lisbon in May"));
        up.kill_and_start();
        up.is_ready();
        assert_eq!(up.pid(&id), process, "it is adopted");
        assert_eq!(up.machine.processes().len(), 2, "nothing is started twice");
        up.memory_checked(&id);
    }
}
