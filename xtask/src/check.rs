use crate::steps::{Steps, cargo, pass};
use crate::{arrows, tidy};

/// What can be judged without running anything.
pub(crate) fn run() -> bool {
    let mut steps = Steps::default();
    all(&mut steps);
    steps.end()
}

/// The same, as part of a larger chore.
pub(crate) fn all(steps: &mut Steps) {
    steps.step("format", || pass(&mut cargo(&["fmt", "--all", "--check"])));
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--features", "xtask/bench", "--", "-D", "warnings"];
    steps.step("lints", || pass(&mut cargo(&clippy)));
    steps.step("documentation", || {
        pass(cargo(&["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.step("arrows", arrows::hold);
    steps.step("tidy", tidy::hold);
}
