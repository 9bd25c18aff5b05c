//! The kernel command line: settings `key=value`, then commands for the shell.

use base::{modules, watchdog};
use boot_args::BootArgs;
use log::LevelFilter;

/// The levels that `loglevel=` and the command `log` take.
pub(crate) const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The command line, taken apart.
pub(crate) struct Settings(BootArgs);

impl Settings {
    /// Takes the line apart as the loader passed it.
    pub(crate) fn parse(line: Option<&str>) -> Self {
        Self(BootArgs::parse(&boot_args::unquote(line.unwrap_or(""))))
    }

    /// The commands, in one text.
    pub(crate) fn commands(&self) -> &str {
        self.0.commands()
    }

    /// Whether there are any.
    pub(crate) fn has_commands(&self) -> bool {
        !self.commands().is_empty()
    }

    /// The value of a setting, the last if there are several.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.0.settings().filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }

    /// Does what the settings say; what it does not know, or not in this way, it logs.
    pub(crate) fn apply(&self) {
        for (key, value) in self.0.settings() {
            match key {
                "loglevel" => match level(value) {
                    Some(level) => modules::set_level(level),
                    None => log::warn!(
                        "loglevel={value}: no such level; good ones: {}",
                        LEVELS.join(", ")
                    ),
                },
                "watchdog" => match value.parse() {
                    Ok(seconds @ 0..=3600) => watchdog::set_limit_ns(seconds * 1_000_000_000),
                    _ => log::warn!("watchdog={value}: not a number of seconds up to 3600"),
                },
                "aslr" => match value {
                    "on" | "off" => process::exec::set_random_layout(value == "on"),
                    _ => log::warn!("aslr={value}: neither on nor off"),
                },
                // When devices are there.
                "root" | "rootflags" => {}
                _ => log::warn!(
                    "{key}={value}: no such setting; there are: loglevel, watchdog, aslr, root, \
                     rootflags"
                ),
            }
        }
    }
}

/// The level of a name.
pub(crate) fn level(name: &str) -> Option<LevelFilter> {
    LEVELS.contains(&name).then(|| name.parse().ok()).flatten()
}

#[base::kernel_test]
fn levels_have_names() {
    assert_eq!(level("debug"), Some(LevelFilter::Debug));
    assert!(LEVELS.iter().all(|name| level(name).is_some()));
    assert_eq!(level("loud"), None);
    assert_eq!(level("DEBUG"), None);
}

#[base::kernel_test]
fn commands_follow_settings() {
    let settings = Settings::parse(Some("\"loglevel=info echo a; exit 0\""));
    assert_eq!(settings.commands(), "echo a; exit 0");
    assert!(!Settings::parse(None).has_commands());
}
