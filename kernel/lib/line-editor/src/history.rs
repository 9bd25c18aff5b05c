//! [`History`]: the lines before this one.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Older lines, bounded, and where in them the user is.
#[derive(Clone, Debug)]
pub struct History {
    /// The oldest first.
    lines: VecDeque<String>,
    limit: usize,
    /// The line that is shown; `lines.len()` for the one being typed.
    place: usize,
    /// The line being typed, kept while older ones are shown.
    draft: String,
}

impl History {
    /// An empty history of at most `limit` lines.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { lines: VecDeque::new(), limit, place: 0, draft: String::new() }
    }

    /// All lines, the oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// Adds a line, unless it is blank or the same as the last, and forgets the oldest if
    /// there are too many. The user is at the end again.
    pub fn push(&mut self, line: &str) {
        let same = self.lines.back().is_some_and(|last| last == line);
        if !line.trim().is_empty() && !same && self.limit > 0 {
            if self.lines.len() == self.limit {
                self.lines.pop_front();
            }
            self.lines.push_back(String::from(line));
        }
        self.leave();
    }

    /// Puts the user at the end.
    pub fn leave(&mut self) {
        self.place = self.lines.len();
        self.draft.clear();
    }

    /// The line before; `current` is what is being edited now. `None` at the oldest.
    pub fn older(&mut self, current: &str) -> Option<&str> {
        let place = self.place.checked_sub(1)?;
        if self.place == self.lines.len() {
            self.draft = String::from(current);
        }
        self.place = place;
        self.lines.get(place).map(String::as_str)
    }

    /// The line after, at last the one that was being typed. `None` at the end.
    pub fn newer(&mut self) -> Option<&str> {
        if self.place >= self.lines.len() {
            return None;
        }
        self.place += 1;
        Some(self.lines.get(self.place).map_or(&*self.draft, String::as_str))
    }

    /// The newest line before number `before` (counted from the oldest) that contains
    /// `text`, and its number.
    #[must_use]
    pub fn search(&self, text: &str, before: usize) -> Option<(usize, &str)> {
        let lines = self.lines.iter().enumerate().take(before);
        lines.rev().find(|(_, line)| line.contains(text)).map(|(at, line)| (at, line.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str], limit: usize) -> History {
        let mut history = History::new(limit);
        lines.iter().for_each(|line| history.push(line));
        history
    }

    #[test]
    fn bounded_and_without_repetition() {
        let history = of(&["a", "a", "b", " ", "", "a", "c"], 3);
        assert_eq!(history.lines().collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(of(&["a"], 0).lines().count(), 0);
    }

    #[test]
    fn up_and_down_come_back_to_the_draft() {
        let mut history = of(&["one", "two"], 10);
        assert_eq!(history.newer(), None);
        assert_eq!(history.older("dra"), Some("two"));
        assert_eq!(history.older("two"), Some("one"));
        assert_eq!(history.older("one"), None);
        assert_eq!(history.newer(), Some("two"));
        assert_eq!(history.newer(), Some("dra"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn searching_goes_backwards() {
        let history = of(&["exec /bin/hello", "mem", "exec /bin/primes"], 10);
        assert_eq!(history.search("exec", usize::MAX), Some((2, "exec /bin/primes")));
        assert_eq!(history.search("exec", 2), Some((0, "exec /bin/hello")));
        assert_eq!(history.search("exec", 0), None);
        assert_eq!(history.search("nothing", usize::MAX), None);
    }
}
