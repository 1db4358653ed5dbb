//! What a guest said on its console: the verdict, and what explains a missing one.

/// Begins every line of the guest's init.
const INIT: &str = "netbreak-vm: ";

/// How a guest's run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The scenario passed.
    Passed,
    /// The scenario failed, or nobody can tell: why.
    Failed(String),
}

/// The verdict in the lines of a console. Exactly one line says it; and no kernel has panicked before.
pub fn verdict(console: &[String]) -> Verdict {
    let mut verdicts = console.iter().filter_map(|line| line.strip_prefix(INIT)?.strip_prefix("verdict "));
    match (verdicts.next(), verdicts.next()) {
        (Some("passed"), None) => Verdict::Passed,
        (Some(other), None) => Verdict::Failed(other.strip_prefix("failed: ").unwrap_or(other).to_owned()),
        (Some(_), Some(_)) => Verdict::Failed("more than one verdict".to_owned()),
        (None, _) => match panic(console).first() {
            Some(line) => Verdict::Failed(format!("the kernel died: {line}")),
            None => Verdict::Failed(format!("no verdict; the last line: {}", last(console))),
        },
    }
}

/// The last line that says anything.
pub fn last(console: &[String]) -> &str {
    console.iter().rev().find(|line| !line.trim().is_empty()).map_or("(nothing)", |line| line.trim())
}

/// What the kernel said from its first complaint on, if it died.
pub fn panic(console: &[String]) -> &[String] {
    const DEATHS: [&str; 5] =
        ["Kernel panic", "BUG: ", "Oops: ", "general protection fault", "kernel BUG at"];
    let begins = |line: &String| DEATHS.iter().any(|death| line.contains(death));
    let is_dead = console.iter().any(|line| line.contains("Kernel panic"));
    let at = console.iter().position(begins).filter(|_| is_dead);
    at.map_or(&[], |at| &console[at..])
}

/// Lines in which the kernel warns of itself: no verdict, but worth a look.
pub fn warnings(console: &[String]) -> impl Iterator<Item = &str> {
    console.iter().map(String::as_str).filter(|line| line.contains("WARNING: "))
}

/// A line as it is kept: without what only a terminal understands.
pub fn clean(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let mut clean = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            // ESC [ … letter: the firmware clears the screen, programs change colours.
            '\x1b' => drop(rest.by_ref().find(char::is_ascii_alphabetic)),
            '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn exactly_one_line_is_the_verdict() {
        let said = |text: &str| verdict(&lines(text));
        let failed = |why: &str| Verdict::Failed(why.to_owned());
        assert_eq!(said("netbreak-vm: up\nnetbreak-vm: verdict passed\n"), Verdict::Passed);
        assert_eq!(said("netbreak-vm: verdict failed: exit status 101"), failed("exit status 101"));
        assert_eq!(
            said("netbreak-vm: verdict passed\nnetbreak-vm: verdict passed"),
            failed("more than one verdict")
        );
        assert_eq!(said("the netbreak-vm: verdict passed\n\n"), {
            failed("no verdict; the last line: the netbreak-vm: verdict passed")
        });
        assert_eq!(said(""), failed("no verdict; the last line: (nothing)"));
        assert_eq!(said("netbreak-vm: verdict pas"), failed("pas"));
    }

    #[test]
    fn a_panic_is_told_from_its_first_line() {
        let console =
            lines("up\n[ 1.0] BUG: kernel NULL pointer dereference\n[ 1.1] Kernel panic - not syncing: x\n");
        assert_eq!(
            verdict(&console),
            Verdict::Failed("the kernel died: [ 1.0] BUG: kernel NULL pointer dereference".to_owned())
        );
        assert_eq!(panic(&console).len(), 2);
        // A program that speaks of bugs is no kernel that died.
        assert!(panic(&lines("BUG: in a test's text")).is_empty());
    }

    #[test]
    fn terminals_codes_and_carriage_returns_go() {
        assert_eq!(clean(b"\x1bc\x1b[?7l\x1b[2Jtest \x1b[32mok\x1b[0m\r"), "test ok");
        assert_eq!(clean(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn warnings_are_found() {
        let console = lines("x\n[ 1.0] WARNING: CPU: 0 PID: 1 at net/core/skbuff.c:1\ny");
        assert_eq!(warnings(&console).count(), 1);
    }
}
