//! What a program must do: the lines of userspace/programs.txt, whose head explains them.

use std::time::Duration;

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The program's path and its arguments.
    pub(crate) command: String,
    /// How it may end; one of these.
    pub(crate) ends: Vec<End>,
    /// What it prints.
    pub(crate) texts: Vec<String>,
    /// Its input.
    pub(crate) stdin: String,
    /// How many run at once.
    pub(crate) copies: usize,
    /// After which time ^C is pressed.
    pub(crate) interrupt: Option<Duration>,
    /// Whether it is not in the initramfs.
    pub(crate) extra: bool,
}

/// How a program ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a status.
    Exit(u8),
    /// By a signal.
    Signal(String),
    /// It is not started.
    Refused,
}

/// Reads programs.txt.
///
/// # Errors
/// The first line that is wrong.
pub(crate) fn parse(text: &str) -> Result<Vec<Expectation>, String> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| parse_line(line).map_err(|error| format!("line {}: {error}", at + 1)))
        .collect()
}

fn parse_line(line: &str) -> Result<Expectation, String> {
    let mut fields = line.split(" | ");
    let command = fields.next().unwrap_or_default();
    let ends = fields.next().ok_or("no expectation")?;
    let mut expectation = Expectation {
        command: command.into(),
        ends: ends.split(" or ").map(parse_end).collect::<Result<_, _>>()?,
        copies: 1,
        ..Expectation::default()
    };
    for field in fields {
        let (key, value) = field.split_once(' ').unwrap_or((field, ""));
        let number = || value.parse().map_err(|_| format!("{field}: not a number"));
        match key {
            "out" => expectation.texts.push(value.into()),
            "stdin" => expectation.stdin = value.replace("\\n", "\n"),
            "copies" => expectation.copies = number()? as usize,
            "interrupt" => expectation.interrupt = Some(Duration::from_millis(number()?)),
            "linux" => {}
            "extra" => expectation.extra = true,
            _ => return Err(format!("unknown key: {field}")),
        }
    }
    Ok(expectation)
}

fn parse_end(text: &str) -> Result<End, String> {
    let (kind, value) = text.split_once(' ').unwrap_or((text, ""));
    match (kind, value) {
        ("exit", status) => {
            status.parse().map(End::Exit).map_err(|_| format!("{text}: no such status"))
        }
        ("signal", name) if name.starts_with("SIG") => Ok(End::Signal(name.into())),
        ("refused", "") => Ok(End::Refused),
        _ => Err(format!("{text}: no such end")),
    }
}

impl Expectation {
    /// What is typed at the kernel shell.
    pub(crate) fn shell_command(&self) -> String {
        match self.copies {
            1 => format!("exec {}", self.command),
            copies => format!("exec {copies} {}", self.command),
        }
    }

    /// The program's path.
    pub(crate) fn path(&self) -> &str {
        self.command.split(' ').next().unwrap_or_default()
    }

    /// Whether what the shell's `exec` wrote is what is expected.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check(&self, output: &str) -> Result<(), String> {
        let report = format!("exec: {} (process ", self.path());
        let refusal = format!("exec: {}: ", self.path());
        let mut ends = Vec::new();
        let mut printed = String::new();
        for line in output.lines() {
            if let Some(rest) = line.strip_prefix(&report) {
                let (_, end) = rest.split_once(") ").unwrap_or((rest, ""));
                ends.push(reported_end(end).ok_or_else(|| format!("not understood: {line}"))?);
            } else if let Some(reason) = line.strip_prefix(&refusal) {
                if reason.trim().is_empty() {
                    return Err("refused without a reason".into());
                }
                ends.push(End::Refused);
            } else {
                printed.push_str(line);
                printed.push('\n');
            }
        }
        let wanted = if self.ends == [End::Refused] { 1 } else { self.copies };
        if ends.len() != wanted {
            return Err(format!("{} ends are reported, not {wanted}", ends.len()));
        }
        if let Some(end) = ends.iter().find(|end| !self.ends.contains(end)) {
            return Err(format!("{end:?}, not {:?}", self.ends));
        }
        for text in &self.texts {
            let count = printed.matches(text.as_str()).count();
            if count < self.copies {
                return Err(format!("prints `{text}` {count} times, not {}", self.copies));
            }
        }
        Ok(())
    }
}

/// The words of kernel/process/src/outcome.rs.
fn reported_end(text: &str) -> Option<End> {
    if let Some(status) = text.strip_prefix("exited with status ") {
        return status.parse().ok().map(End::Exit);
    }
    let rest = text.strip_prefix("killed by ")?;
    let (name, cause) = rest.split_once(": ").unwrap_or((rest, ""));
    // Who did something forbidden is told where.
    if rest.contains(": ") && !cause.contains(", ip 0x") {
        return None;
    }
    Some(End::Signal(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let lines = parse(
            "# comment\n\n\
             /bin/a b | exit 3 or signal SIGBUS | out x y | stdin 1\\n2\\n | copies 2 | out z\n\
             /bin/c | refused | linux error ENOENT | extra\n\
             /bin/d | signal SIGINT | interrupt 300\n",
        )
        .unwrap();
        assert_eq!(lines[0].ends, [End::Exit(3), End::Signal("SIGBUS".into())]);
        assert_eq!(lines[0].texts, ["x y", "z"]);
        assert_eq!((lines[0].stdin.as_str(), lines[0].copies), ("1\n2\n", 2));
        assert_eq!(lines[0].shell_command(), "exec 2 /bin/a b");
        assert!(lines[1].extra && lines[1].ends == [End::Refused]);
        assert_eq!(lines[2].interrupt, Some(Duration::from_millis(300)));
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in ["/bin/a", "/bin/a | exit", "/bin/a | exit 256", "/bin/a | signal KILL",
            "/bin/a | exit 0 | copies many", "/bin/a | exit 0 | colour red"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_line_of_ours_is_understood() {
        let text = include_str!("../../userspace/programs.txt");
        assert!(parse(text).unwrap().len() > 200);
    }

    #[test]
    fn outputs_are_judged() {
        let line = &parse("/bin/a | signal SIGSEGV or exit 2 | copies 2 | out x").unwrap()[0];
        let good = "x\nx\nexec: /bin/a (process 4) killed by SIGSEGV: read at address 0x0, ip 0x1\n\
                    exec: /bin/a (process 5) exited with status 2\n";
        assert_eq!(line.check(good), Ok(()));
        assert!(line.check(&good.replacen('x', "y", 1)).is_err());
        assert!(line.check(&good.replace("status 2", "status 0")).is_err());
        assert!(line.check(&good.replace(", ip 0x1", "")).is_err());
        assert!(line.check(good.lines().next().unwrap()).is_err());
        let line = &parse("/broken/b | refused").unwrap()[0];
        assert_eq!(line.check("exec: /broken/b: not an ELF file\n"), Ok(()));
        assert!(line.check("exec: /broken/b: \n").is_err());
        assert!(line.check("exec: /broken/b (process 1) exited with status 0\n").is_err());
    }
}
