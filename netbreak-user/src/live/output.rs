//! Where what is seen goes: lines, or a screen with keys.

use std::io::{self, Write as _};

use anyhow::{Context, Result};

use super::{
    keys,
    lines::{self, Line},
    seen::{Entry, Seen},
    table::{self, State},
    terminal::Terminal,
    view::{Asked, View},
};
use crate::report::Sensor;

/// One of the three ways.
enum Way {
    Plain,
    Json,
    Screen(Terminal),
}

/// Where it goes, and what the keys have chosen.
pub struct Output {
    way: Way,
    view: View,
    /// The picture that stands still.
    paused: Option<(Vec<Entry>, State)>,
    is_closed: bool,
}

impl Output {
    /// A screen where there is a terminal, else lines; JSON if that was asked for. Sensors that are not on are said.
    ///
    /// # Errors
    /// When standard output or the terminal fails.
    pub fn start(json: bool, started: jiff::Timestamp, sensors: &[Sensor]) -> Result<Self> {
        let mut output = Output { way: Way::Plain, view: View::default(), paused: None, is_closed: false };
        if json {
            output.way = Way::Json;
            let system = rustix::system::uname();
            output.json(&Line::Start {
                schema: lines::SCHEMA,
                host: system.nodename().to_string_lossy().into_owned(),
                kernel: system.release().to_string_lossy().into_owned(),
                started: started.to_string(),
                sensors,
            })?;
            return Ok(output);
        }
        for sensor in sensors.iter().filter(|sensor| sensor.is_missed()) {
            let why = sensor.why.as_deref().unwrap_or("it is not on");
            // Nobody reads it: the rows come all the same.
            let _ = writeln!(io::stderr(), "netbreak: {}: {why}", sensor.name);
        }
        if let Some(terminal) = Terminal::take().context("cannot use the terminal as a screen")? {
            output.way = Way::Screen(terminal);
        }
        Ok(output)
    }

    /// Nobody reads any more?
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Shows what the last look has seen.
    ///
    /// # Errors
    /// When standard output fails otherwise than by a closed pipe.
    pub fn show(&mut self, seen: &Seen) -> Result<()> {
        match self.way {
            Way::Screen(_) => {
                if self.paused.is_none() {
                    self.view.look(&seen.entries(), seen.interval_s);
                }
                self.draw(seen)
            }
            Way::Plain => {
                let line = |row| lines::plain(seen.at_s, seen.interval_s, row);
                self.write(&seen.grown().map(line).collect::<String>())
            }
            Way::Json => {
                let (at_s, interval_s) = (seen.at_s, seen.interval_s);
                let line = |row| lines::json(&Line::Row { at_s, interval_s, row });
                let lines: String = seen.grown().map(line).collect::<serde_json::Result<_>>()?;
                self.write(&lines)
            }
        }
    }

    /// Draws the screen, if it is one.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, seen: &Seen) -> Result<()> {
        let Way::Screen(terminal) = &self.way else { return Ok(()) };
        let screen = match &self.paused {
            Some((entries, state)) => table::render(entries, state, &self.view, terminal.size()),
            None => table::render(&seen.entries(), &state(seen), &self.view, terminal.size()),
        };
        terminal.show(screen).context("cannot write to the terminal")
    }

    /// Keys of the terminal; without one there are never any. Cancel-safe.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn keys(&self) -> io::Result<Vec<u8>> {
        match &self.way {
            Way::Screen(terminal) => terminal.keys().await,
            Way::Plain | Way::Json => std::future::pending().await,
        }
    }

    /// Does what the keys say; is it over?
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &[u8], seen: &Seen) -> Result<bool> {
        let now = seen.entries();
        for key in keys::parse(keys) {
            let entries = self.paused.as_ref().map_or(&now, |(entries, _)| entries);
            match self.view.press(key, entries) {
                Asked::Nothing => {}
                Asked::Quit => return Ok(true),
                Asked::Pause => {
                    let still = || (now.clone(), State { is_paused: true, ..state(seen) });
                    self.paused = if self.paused.is_none() { Some(still()) } else { None };
                }
            }
        }
        self.draw(seen)?;
        Ok(false)
    }

    /// The last look, and what it all was. Gives the terminal back first.
    ///
    /// # Errors
    /// When standard output fails otherwise than by a closed pipe.
    pub fn end(mut self, seen: &Seen) -> Result<()> {
        if let Way::Screen(_) = self.way {
            self.way = Way::Plain;
        } else {
            self.show(seen)?;
        }
        let (at_s, sums) = (seen.at_s, &seen.sums);
        match self.way {
            Way::Json => self.json(&Line::End { at_s, sums }),
            Way::Plain | Way::Screen(_) => self.write(&lines::summary(at_s, sums)),
        }
    }

    fn json(&mut self, line: &Line) -> Result<()> {
        let line = lines::json(line)?;
        self.write(&line)
    }

    /// A closed pipe is the end, and no error.
    fn write(&mut self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            result => result.context("cannot write to standard output"),
        }
    }
}

fn state(seen: &Seen) -> State {
    let Seen { at_s, interval_s, sums, .. } = *seen;
    State { at_s, interval_s, sums, is_paused: false }
}
