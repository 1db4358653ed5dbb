//! What netbreak says of itself, taken by those who read it: shells, `man`, and a JSON schema.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn netbreak(arguments: &str) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_netbreak"))
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What a program makes of `input`; `None` where it is not installed, which is said.
fn reader(program: &[&str], input: &[u8]) -> Option<Output> {
    let (stdin, stdout, stderr) = (Stdio::piped(), Stdio::piped(), Stdio::piped());
    let child =
        Command::new(program[0]).args(&program[1..]).stdin(stdin).stdout(stdout).stderr(stderr).spawn();
    let Ok(mut child) = child else {
        println!("skipped: `{}` is not installed", program[0]);
        return None;
    };
    // A reader that ends early says why on its standard error.
    let _ = child.stdin.take().unwrap().write_all(input);
    Some(child.wait_with_output().unwrap())
}

#[test]
fn shells_understand_their_completions() {
    for shell in [&["bash", "-n"][..], &["zsh", "-n"], &["fish", "--no-execute"]] {
        let script = netbreak(&format!("completions {}", shell[0])).stdout;
        let Some(output) = reader(shell, &script) else { continue };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", shell[0]);
    }
    for shell in ["elvish", "powershell"] {
        assert!(!netbreak(&format!("completions {shell}")).stdout.is_empty());
    }
}

#[test]
fn bash_completes() {
    let mut script = netbreak("completions bash").stdout;
    script.extend_from_slice(
        b"\nCOMP_WORDS=(netbreak run --no-k)\nCOMP_CWORD=2\n_netbreak netbreak --no-k run\necho \"${COMPREPLY[@]}\"\n",
    );
    let Some(output) = reader(&["bash"], &script) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "--no-kernel", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn pages_are_rendered_without_complaint() {
    for command in ["man", "man run", "man test-server"] {
        let page = netbreak(command).stdout;
        let groff = ["groff", "-man", "-Tutf8", "-ww", "-P-cbou"];
        let Some(output) = reader(&groff, &page) else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{command}: {said}");
        let rendered = String::from_utf8_lossy(&output.stdout);
        assert!(rendered.contains("SYNOPSIS") && rendered.contains("Examples"), "{command}: {rendered}");
    }
}

#[test]
fn a_real_report_has_the_shape_of_the_schema() {
    let schema = include_str!("../../docs/report.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let output = netbreak("run 127.0.0.1 --tcp 9 --duration 100ms --no-kernel --json -");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// No cluster runs here: a script in kubectl's place prints what a small one would have said.
#[test]
fn a_matrix_is_made_from_what_kubectl_says() {
    let directory = tempfile::tempdir().unwrap();
    let kubectl = directory.path().join("kubectl");
    let said = include_str!("data/kubectl.json");
    let asked = "get nodes,pods,services --all-namespaces --output json";
    let script = format!("#!/bin/sh\n[ \"$*\" = \"{asked}\" ] || exit 9\ncat <<'END'\n{said}\nEND\n");
    std::fs::write(&kubectl, script).unwrap();
    std::fs::set_permissions(&kubectl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let netbreak = |arguments: &[&str], path: &str| {
        Command::new(env!("CARGO_BIN_EXE_netbreak")).args(arguments).env("PATH", path).output().unwrap()
    };
    let path = format!("{}:/usr/bin:/bin", directory.path().display());
    let made = netbreak(&["matrix", "--init", "--outside", "192.0.2.1"], &path);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let file = directory.path().join("made.toml");
    std::fs::write(&file, &made.stdout).unwrap();
    let checked = netbreak(&["matrix", file.to_str().unwrap(), "--check"], &path);
    let plan = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(plan.contains("9 rows, 11 probes") && plan.contains("visits 100.64.0.3 by icmp"), "{plan}");
    assert!(plan.contains("NodePort from outside: outside (here) visits 172.18.0.3 by tcp 31080"), "{plan}");

    let absent = netbreak(&["matrix", "--init"], "/nowhere");
    assert_eq!(absent.status.code(), Some(2));
    let message = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert!(message.contains("install kubectl, or begin with deploy/scenarios/kube-ovn.toml"), "{message}");
}
