//! The command that breaks what is measured.

use super::{Refused, time::validate_time};
use crate::cli::TriggerArgs;
use crate::clock::{Nanos, SECOND};

/// `--trigger`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// What `sh -c` gets.
    pub command: String,
    /// From the first attempt to its start, in nanoseconds.
    pub lead_in: Nanos,
    /// How long everything must be quiet after it for the run to end, in nanoseconds.
    pub quiet_for: Nanos,
}

/// A command, and times that leave it some of the run; `None` = nothing shall break.
pub(super) fn validate_trigger(args: &TriggerArgs, duration: Nanos) -> Result<Option<Trigger>, Refused> {
    let Some(command) = &args.command else { return Ok(None) };
    if command.trim().is_empty() {
        return Err(Refused::new("--trigger: the command is empty"));
    }
    if command.contains('\0') {
        return Err(Refused::new("--trigger: a command cannot contain a zero byte"));
    }
    let lead_in = validate_time("--lead-in", &args.lead_in)?;
    let quiet_for = validate_time("--quiet-for", &args.quiet_for)?;
    let needed = lead_in.saturating_add(quiet_for);
    if needed >= duration {
        let seconds = |time: Nanos| time as f64 / SECOND as f64;
        return Err(Refused::new(format!(
            "--lead-in and --quiet-for take {} s, and the run has {} s: use a longer --duration",
            seconds(needed),
            seconds(duration)
        )));
    }
    Ok(Some(Trigger { command: command.clone(), lead_in, quiet_for }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(
        command: &str,
        lead_in: &str,
        quiet_for: &str,
        duration: Nanos,
    ) -> Result<Option<Trigger>, Refused> {
        let [lead_in, quiet_for] = [lead_in, quiet_for].map(str::to_owned);
        let args = TriggerArgs { command: Some(command.to_owned()), lead_in, quiet_for };
        validate_trigger(&args, duration)
    }

    #[test]
    fn accepted() {
        let trigger = validate("kubectl ko reload", "5s", "500ms", 60 * SECOND).unwrap().unwrap();
        assert_eq!(trigger.command, "kubectl ko reload");
        assert_eq!((trigger.lead_in, trigger.quiet_for), (5 * SECOND, SECOND / 2));
    }

    #[test]
    fn refused() {
        for (command, lead_in, quiet_for, words) in [
            (" ", "5s", "5s", "--trigger: the command is empty"),
            ("a\0b", "5s", "5s", "zero byte"),
            ("true", "0s", "5s", "--lead-in 0s"),
            ("true", "5s", "5", "--quiet-for 5"),
            ("true", "5s", "5s", "take 10 s, and the run has 10 s: use a longer --duration"),
        ] {
            let message = validate(command, lead_in, quiet_for, 10 * SECOND).expect_err(command).to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
