//! A terminal that is drawn on whole, and given back as it was.

use std::io::{Stdin, Write, stdin, stdout};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::draw::cut;

const STDIN: RawFd = libc::STDIN_FILENO;
/// The screen beside the scrollback, cursor hidden; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// What one has who does not say (`TIOCGWINSZ`).
const USUAL: (usize, usize) = (100, 30);

/// What somebody pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `q`, Ctrl-C, or the process is told to end.
    Quit,
    /// Something else, or the terminal has another size: draw again.
    Other,
    /// Nothing.
    None,
}

/// The terminal, until this is dropped.
pub(super) struct Screen {
    before: Option<libc::termios>,
    keys: Option<AsyncFd<Stdin>>,
    ends: [Signal; 2],
    resized: Signal,
}

impl Screen {
    pub(super) fn open() -> std::io::Result<Self> {
        let ends = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let resized = signal(SignalKind::window_change())?;
        // Keys are a convenience: without a terminal to read from, signals end it.
        let before = quiet();
        // SAFETY: `Stdin` names descriptor 0 for as long as the process lives; nothing here closes it.
        let keys = before.as_ref().and_then(|_| unsafe { AsyncFd::register(stdin()) }.ok());
        let screen = Self { before, keys, ends, resized };
        write(ENTER)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        let mut size = MaybeUninit::<libc::winsize>::zeroed();
        // SAFETY: the request writes a `winsize`, for which there is room; all zero is a valid one.
        let (done, size) =
            unsafe { (libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, size.as_mut_ptr()), size.assume_init()) };
        if done == 0 && size.ws_col > 0 && size.ws_row > 0 { (size.ws_col.into(), size.ws_row.into()) } else { USUAL }
    }

    /// Draws over what is there, so that nothing flickers.
    pub(super) fn show(&mut self, frame: &[String], width: usize, height: usize) -> std::io::Result<()> {
        let mut text = String::from("\x1b[H");
        for line in frame.iter().take(height.saturating_sub(1)) {
            text.push_str(&cut(line, width));
            // The style ends with the line, and so does what stood there before.
            text.push_str("\x1b[0m\x1b[K\r\n");
        }
        text.push_str("\x1b[J\x1b[2mq quits\x1b[0m");
        write(&text)
    }

    /// Waits for a key, at most so long.
    pub(super) async fn wait(&mut self, at_most: Duration) -> std::io::Result<Key> {
        let [terminate, interrupt] = &mut self.ends;
        tokio::select! {
            () = tokio::time::sleep(at_most) => Ok(Key::None),
            _ = terminate.recv() => Ok(Key::Quit),
            _ = interrupt.recv() => Ok(Key::Quit),
            _ = self.resized.recv() => Ok(Key::Other),
            key = pressed(self.keys.as_ref()) => Ok(key),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _gone = write(LEAVE);
        if let Some(before) = &self.before {
            // SAFETY: `before` is what tcgetattr gave for the same descriptor.
            unsafe { libc::tcsetattr(STDIN, libc::TCSANOW, before) };
        }
    }
}

/// Has keys come one by one and unseen; gives what was before, or nothing where there is no terminal.
fn quiet() -> Option<libc::termios> {
    let mut before = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: tcgetattr writes a `termios`, for which there is room; it is read only when that succeeded.
    let before = unsafe {
        if libc::tcgetattr(STDIN, before.as_mut_ptr()) != 0 {
            return None;
        }
        before.assume_init()
    };
    let mut quiet = before;
    // Ctrl-C stays a signal: it ends the program also when that hangs.
    quiet.c_lflag &= !(libc::ICANON | libc::ECHO);
    quiet.c_cc[libc::VMIN] = 0;
    quiet.c_cc[libc::VTIME] = 0;
    // SAFETY: `quiet` is a whole `termios`, made of one of this terminal.
    (unsafe { libc::tcsetattr(STDIN, libc::TCSANOW, &quiet) } == 0).then_some(before)
}

async fn pressed(keys: Option<&AsyncFd<Stdin>>) -> Key {
    let Some(keys) = keys else { return std::future::pending().await };
    let Ok(mut ready) = keys.readable().await else { return std::future::pending().await };
    let mut bytes = [0_u8; 32];
    // SAFETY: `bytes` has room for what is asked for. With VMIN and VTIME of zero a read does not wait.
    let count = unsafe { libc::read(STDIN, bytes.as_mut_ptr().cast(), bytes.len()) };
    ready.clear_ready();
    match usize::try_from(count) {
        // The terminal is gone.
        Ok(0) | Err(_) => Key::Quit,
        Ok(count) if bytes[..count].iter().any(|key| matches!(key, b'q' | b'Q' | 3)) => Key::Quit,
        Ok(_) => Key::Other,
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
