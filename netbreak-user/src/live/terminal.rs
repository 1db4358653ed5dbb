//! A terminal that shows a screen of ours and hands over keys at once; it is as it was when that is over.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use super::table::Screen;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::io::{Interest, unix::AsyncFd};

/// The other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The terminal while it is ours. Dropping it gives it back.
pub struct Terminal {
    before: Termios,
    keys: AsyncFd<io::Stdin>,
}

impl Terminal {
    /// Takes the terminal; `None` where standard input or output is none. Within a tokio runtime.
    ///
    /// # Errors
    /// With the system's reason; the terminal is as it was then.
    pub fn take() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(None);
        }
        // SAFETY: the file descriptor of standard input is the process's own and is never closed.
        let keys = unsafe { AsyncFd::register_with_interest(io::stdin(), Interest::READABLE) }?;
        let before = tcgetattr(io::stdin())?;
        let mut ours = before.clone();
        // Keys come at once and are not shown. Ctrl-C stays a signal; Ctrl-Z and Ctrl-\ would leave our screen behind.
        ours.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        ours.input_modes -= InputModes::IXON;
        for (index, value) in [
            (SpecialCodeIndex::VMIN, 0),
            (SpecialCodeIndex::VTIME, 0),
            (SpecialCodeIndex::VSUSP, 0),
            (SpecialCodeIndex::VQUIT, 0),
        ] {
            ours.special_codes[index] = value;
        }
        tcsetattr(io::stdin(), OptionalActions::Now, &ours)?;
        // From here on it is given back whatever happens.
        let terminal = Terminal { before, keys };
        terminal.write(ENTER)?;
        Ok(Some(terminal))
    }

    /// Columns and lines.
    pub fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Shows these lines, the selected one in inverse video, and nothing else.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&self, Screen { mut lines, selected }: Screen) -> io::Result<()> {
        if let Some(line) = selected.and_then(|selected| lines.get_mut(selected)) {
            *line = format!("\x1b[7m{line}\x1b[27m");
        }
        // Each line is overwritten and its rest cleared: nothing flickers.
        self.write(&format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n")))
    }

    /// Waits for keys; none of them: the terminal is gone. Cancel-safe.
    ///
    /// # Errors
    /// When the terminal is gone, too.
    pub async fn keys(&self) -> io::Result<Vec<u8>> {
        let mut guard = self.keys.readable().await?;
        let mut bytes = [0; 64];
        // `VMIN` is 0: this never waits.
        let read = io::stdin().read(&mut bytes)?;
        guard.clear_ready();
        Ok(bytes[..read].to_vec())
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing to give back.
        let _ = self.write(LEAVE);
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
