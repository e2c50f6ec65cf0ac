//! The one place that prints: data on stdout, talk on stderr.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::{OwoColorize, Style};
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;

/// How often progress is printed where no bar can be drawn.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Where a command's words go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Data as JSON instead of text.
    pub(crate) json: bool,
    /// No talk, only data and errors.
    pub(crate) quiet: bool,
}

/// What a progress bar counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// Messages of an import.
    Messages,
    /// Bytes of a download.
    Bytes,
}

impl Output {
    /// One line of data.
    #[expect(clippy::unused_self, reason = "data is printed through the same value as everything else")]
    pub(crate) fn data(self, line: impl AsRef<str>) {
        write_line(&mut io::stdout().lock(), line.as_ref());
    }

    /// Data as JSON: for people to read when it goes to a terminal, one line otherwise.
    pub(crate) fn value(self, value: &impl Serialize) {
        let text = if io::stdout().is_terminal() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        // Data of a command has text for its keys, which is all that this could fail on.
        self.data(text.unwrap_or_default());
    }

    /// A piece of data that more follows, shown at once.
    #[expect(clippy::unused_self, reason = "data is printed through the same value as everything else")]
    pub(crate) fn piece(self, text: &str) {
        let mut stdout = io::stdout().lock();
        // A reader that went away wants no more.
        let _ = write!(stdout, "{}", harmless(text)).and_then(|()| stdout.flush());
    }

    /// What stands before the place where a person types.
    pub(crate) fn prompt(self, text: &str) {
        if self.talks_with_person() {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "{}", paint(text, Style::new().cyan())).and_then(|()| stderr.flush());
        }
    }

    /// Whether a person types what the program reads and reads what it says.
    pub(crate) fn talks_with_person(self) -> bool {
        !self.quiet && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Talk: what goes on, for the one who watches.
    pub(crate) fn say(self, line: impl AsRef<str>) {
        if !self.quiet {
            write_line(&mut io::stderr().lock(), line.as_ref());
        }
    }

    /// Prints a warning and its hint.
    pub(crate) fn warn(self, message: &str, hint: &str) {
        self.say(format!("{} {message}", paint("warning:", Style::new().yellow().bold())));
        self.say(format!("{} {hint}", paint("hint:", Style::new().cyan().bold())));
    }

    /// What happened and what to do next. Also said when all talk is off.
    pub(crate) fn failure(self, failure: &Failure) {
        let mut stderr = io::stderr().lock();
        if self.json {
            let (error, hint) = (&failure.message, &failure.hint);
            let line = json!({"error": error, "hint": hint, "exit": failure.exit as u8});
            write_line(&mut stderr, &line.to_string());
        } else {
            let error = paint("error:", Style::new().red().bold());
            write_line(&mut stderr, &format!("{error} {}", failure.message));
            let hint = paint("hint:", Style::new().cyan().bold());
            write_line(&mut stderr, &format!("{hint} {}", failure.hint));
        }
    }

    /// Shows how far something long has come: a bar on a terminal, a line now and then elsewhere.
    pub(crate) fn progress(self, doing: &str, unit: Unit) -> Progress {
        let on_terminal = io::stderr().is_terminal() && !self.quiet;
        let target = if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style(unit));
        bar.set_message(doing.to_owned());
        Progress { output: self, bar, unit, plain: !on_terminal, printed: Instant::now() }
    }
}

/// Asks a yes-or-no question. `None` when the input is not a terminal.
pub(crate) fn ask(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    let mut stderr = io::stderr().lock();
    // A terminal that is gone answers nothing, which is read as no.
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// How far something long has come.
pub(crate) struct Progress {
    output: Output,
    bar: ProgressBar,
    unit: Unit,
    plain: bool,
    printed: Instant,
}

impl Progress {
    /// So much of so much is done.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.plain && (self.printed.elapsed() >= PLAIN_EVERY) {
            self.printed = Instant::now();
            let amount = match self.unit {
                Unit::Messages => format!("{done} of {total} messages"),
                Unit::Bytes => format!("{:.1} of {:.1} MB", done as f64 / 1e6, total as f64 / 1e6),
            };
            self.output.say(format!("{}: {amount}", self.bar.message()));
        }
    }

    /// What is being done now.
    pub(crate) fn rename(&self, doing: String) {
        if self.bar.message() != doing {
            self.bar.set_message(doing);
        }
    }

    /// It is over; the bar goes away.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

fn style(unit: Unit) -> ProgressStyle {
    let template = match unit {
        Unit::Messages => "{msg} {wide_bar} {human_pos}/{human_len} messages, {per_sec}, {eta} left",
        Unit::Bytes => {
            "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left"
        }
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Untrusted text made safe for a terminal: control characters are replaced. Elsewhere it stays as it is.
pub(crate) fn harmless(text: &str) -> String {
    if !io::stdout().is_terminal() {
        return text.to_owned();
    }
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.replace(steers, "\u{fffd}")
}

/// Text in colour for stderr, where its reader can see it and wants it.
fn paint(text: &str, style: Style) -> String {
    if colours_on(&io::stderr()) { text.style(style).to_string() } else { text.to_owned() }
}

/// Less important text for stdout, dimmed where its reader can see it and wants it.
pub(crate) fn dim(text: &str) -> String {
    if colours_on(&io::stdout()) { text.dimmed().to_string() } else { text.to_owned() }
}

/// Whether colours are seen and wanted there: on a terminal that knows them, unless `NO_COLOR` is set.
#[expect(clippy::disallowed_methods, reason = "the terminal's own variables are no settings")]
pub(crate) fn colours_on(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// A reader that went away (a closed pipe) wants no more lines: not an error of this program.
fn write_line(to: &mut impl Write, line: &str) {
    let _ = writeln!(to, "{line}");
}
