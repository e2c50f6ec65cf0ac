use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::Style;

use super::{Output, message, paint, stderr};

/// How often the mark of a running step moves.
const TICK: Duration = Duration::from_millis(100);

/// What is shown of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepMark {
    /// It waits.
    Waits,
    /// It is done or undone now.
    Runs,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// It was undone.
    Undone,
}

/// A list of steps: on a terminal with a mark and the time of each, redrawn as they go on; elsewhere a line for each that ends.
pub(crate) struct StepList {
    output: Output,
    lines: Vec<StepLine>,
}

struct StepLine {
    name: String,
    title: String,
    bar: Option<ProgressBar>,
}

impl Output {
    /// Shows these steps, each with its name and its title.
    pub(crate) fn steps<'a>(self, steps: impl IntoIterator<Item = (&'a str, &'a str)>) -> StepList {
        let draws = stderr().is_terminal() && !self.quiet;
        let drawn = draws.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        let lines = steps.into_iter().map(|(name, title)| StepLine {
            name: name.to_owned(),
            title: title.to_owned(),
            bar: drawn.as_ref().map(|drawn| drawn.add(ProgressBar::new_spinner())),
        });
        let list = StepList { output: self, lines: lines.collect() };
        list.lines.iter().for_each(|line| line.show(StepMark::Waits, ""));
        list
    }
}

impl StepList {
    /// Shows that a step is this now. `detail` is why it failed, how long it took, or what it does.
    pub(crate) fn set(&self, step: &str, mark: StepMark, detail: &str) {
        let Some(line) = self.lines.iter().find(|line| line.name == step) else { return };
        if line.bar.is_some() {
            line.show(mark, detail);
        } else if let Some(word) = mark.word() {
            let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
            self.output.say(format!("{word:<7}{}{detail}", line.title));
        }
    }

    /// Shows what a running step says.
    pub(crate) fn says(&self, step: &str, what: &str) {
        let Some(line) = self.lines.iter().find(|line| line.name == step) else { return };
        if line.bar.is_some() {
            line.show(StepMark::Runs, what);
        } else {
            self.output.say(format!("{:<7}{}: {what}", "", line.title));
        }
    }

    /// Leaves the list as it is now.
    pub(crate) fn finish(self) {
        self.lines.into_iter().filter_map(|line| line.bar).for_each(|bar| bar.abandon());
    }
}

impl StepLine {
    fn show(&self, mark: StepMark, detail: &str) {
        let Some(bar) = &self.bar else { return };
        let runs = mark == StepMark::Runs;
        let template = if runs { "{spinner} {msg} {elapsed}" } else { "{prefix} {msg}" };
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_prefix(mark.sign());
        let detail = if detail.is_empty() { String::new() } else { format!("  {detail}") };
        let detail = paint(&message(&detail), Style::new().dimmed());
        bar.set_message(format!("{}{detail}", message(&self.title)));
        if runs && !bar.is_finished() && bar.position() == 0 {
            bar.reset_elapsed();
            bar.set_position(1);
            bar.enable_steady_tick(TICK);
        } else if !runs {
            bar.disable_steady_tick();
            bar.set_position(0);
            bar.tick();
        }
    }
}

impl StepMark {
    fn sign(self) -> String {
        match self {
            Self::Waits => paint("·", Style::new().dimmed()),
            Self::Runs => String::new(),
            Self::Done => paint("✓", Style::new().green()),
            Self::Failed => paint("✗", Style::new().red()),
            Self::Undone => paint("↶", Style::new().yellow()),
        }
    }

    /// What a line says about a step that has come to an end.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Waits | Self::Runs => None,
            Self::Done => Some("done"),
            Self::Failed => Some("failed"),
            Self::Undone => Some("undone"),
        }
    }
}
