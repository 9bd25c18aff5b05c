//! What the guest writes on its serial line, as plain text that can be waited for.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use vte::{Parser, Perform};

use crate::runner::lock;

/// More text than this is a guest out of control.
const LIMIT: usize = 16 << 20;

#[derive(Default)]
struct Text {
    text: String,
    ended: bool,
}

/// Keeps characters and new lines; drops what moves the cursor or colours.
impl Perform for Text {
    fn print(&mut self, character: char) {
        self.text.push(character);
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\n' || byte == b'\t' {
            self.text.push(byte.into());
        }
    }
}

/// The console: a reader thread fills it.
pub(crate) struct Console {
    shared: Arc<(Mutex<Text>, Condvar)>,
    /// What has been waited for, in bytes.
    seen: usize,
}

impl Console {
    /// Reads from `source` until its end.
    pub(crate) fn new(mut source: impl Read + Send + 'static) -> Self {
        let shared: Arc<(Mutex<Text>, Condvar)> = Arc::default();
        let writer = shared.clone();
        thread::spawn(move || {
            let mut parser = Parser::new();
            let mut buffer = [0; 4096];
            loop {
                let count = source.read(&mut buffer).unwrap_or(0);
                let mut text = lock(&writer.0);
                parser.advance(&mut *text, buffer.get(..count).unwrap_or(&[]));
                text.ended = count == 0 || text.text.len() > LIMIT;
                writer.1.notify_all();
                if text.ended {
                    return;
                }
            }
        });
        Self { shared, seen: 0 }
    }

    /// All that was written.
    pub(crate) fn text(&self) -> String {
        lock(&self.shared.0).text.clone()
    }

    /// Waits until what has not been waited for yet holds `wanted`, and returns what stands
    /// before that.
    ///
    /// # Errors
    /// If it does not come in time, or the console ends before.
    pub(crate) fn expect(&mut self, wanted: &str, limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
        let mut text = lock(&self.shared.0);
        loop {
            let new = text.text.get(self.seen..).unwrap_or("");
            if let Some((before, _)) = new.split_once(wanted) {
                let before = before.to_owned();
                self.seen += before.len() + wanted.len();
                return Ok(before);
            }
            if text.ended {
                return Err(format!("ended without `{}`", wanted.trim()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seconds = limit.as_secs_f64();
                return Err(format!("no `{}` in {seconds:.0} s", wanted.trim()));
            }
            text = match self.shared.1.wait_timeout(text, left) {
                Ok((text, _)) => text,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Waits for the end of the console; at most `limit`.
    pub(crate) fn wait_for_end(&self, limit: Duration) {
        let text = lock(&self.shared.0);
        drop(self.shared.1.wait_timeout_while(text, limit, |text| !text.ended));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn escapes_are_dropped_and_texts_found_in_order() {
        let bytes: &[u8] = b"\x1b[1;32mone\x1b[0m\r\n\x1b]0;title\x07two \xc3\xa9\r\nthree";
        let mut console = Console::new(bytes);
        console.wait_for_end(Duration::from_secs(5));
        assert_eq!(console.text(), "one\ntwo \u{e9}\nthree");
        assert_eq!(console.expect("two", SHORT), Ok("one\n".into()));
        assert!(console.expect("one", SHORT).is_err_and(|error| error.contains("ended")));
        assert_eq!(console.expect("three", SHORT), Ok(" \u{e9}\n".into()));
    }

    #[test]
    fn what_does_not_come_is_an_error() {
        struct Silence;
        impl Read for Silence {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                thread::sleep(Duration::from_secs(1));
                Ok(0)
            }
        }
        let mut console = Console::new(Silence);
        assert!(console.expect("a", SHORT).is_err_and(|error| error.starts_with("no `a`")));
    }
}
