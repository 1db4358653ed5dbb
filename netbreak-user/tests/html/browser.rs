//! Chromium without a window.

use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A browser with a profile of its own.
pub struct Browser {
    directory: TempDir,
}

/// What was in a page once it was loaded.
pub struct Seen {
    /// What the page left as JSON in an element called `result`.
    pub result: Value,
    /// What was said on the console.
    pub console: Vec<String>,
}

impl Browser {
    pub fn new() -> Browser {
        Browser { directory: TempDir::new().unwrap() }
    }

    /// Opens a page, and reads what it says about itself.
    pub fn open(&self, page: &str) -> Seen {
        let file = self.directory.path().join("page.html");
        std::fs::write(&file, page).unwrap();
        let profile = format!("--user-data-dir={}", self.directory.path().join("profile").display());
        // A browser that hangs fails the test.
        let output = Command::new("timeout")
            .args(["--kill-after=5", "180", "chromium"])
            // Root has no sandbox; a small /dev/shm is common in containers.
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args([
                "--window-size=1250,1200",
                "--enable-logging=stderr",
                "--virtual-time-budget=5000",
                "--dump-dom",
            ])
            .args([&profile, &format!("file://{}", file.display())])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let console: Vec<String> =
            said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
        let dom = String::from_utf8_lossy(&output.stdout);
        let result = dom.split_once("<pre id=\"result\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let (result, _) =
            result.unwrap_or_else(|| panic!("the page has no result; its console said {console:#?}"));
        let result = result
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&nbsp;", "\u{a0}")
            .replace("&amp;", "&");
        Seen { result: serde_json::from_str(&result).unwrap(), console }
    }
}
