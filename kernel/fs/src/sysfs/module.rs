//! `/sys/module`: the crates of the kernel, as Linux has its modules: `version`, and
//! `parameters/log_level`, up to which level it logs.

use alloc::sync::Arc;

use abi::{Errno, Result};
use base::modules::{self, Module};
use log::LevelFilter;

use super::keys::{File, Files, list};
use crate::pseudo::{Directory, Node, Text, Visit};
use crate::status::Kind;

/// All modules.
pub(super) struct Modules;

impl Directory for Modules {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        Ok(modules::find(name).map(|module| Node::Directory(Arc::new(ModuleDirectory(module)))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let keyed = (0..).zip(modules::all()).collect();
        list(keyed, from, visit, |module: &&Module| (module.name(), Kind::Directory))
    }
}

/// A module.
struct ModuleDirectory(&'static Module);

impl Directory for ModuleDirectory {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let module = self.0;
        Ok(match name {
            "parameters" => Some(Node::Directory(Arc::new(Parameters(module)))),
            "version" => {
                Some(Node::text(move |to| to.write(format_args!("{}\n", module.version()))))
            }
            _ => None,
        })
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let entries = [("parameters", Kind::Directory), ("version", Kind::Regular)];
        list((0..).zip(entries).collect(), from, visit, |entry| *entry)
    }
}

/// What can be set.
struct Parameters(&'static Module);

const FILES: Files<&'static Module> = Files(&[("log_level", File::set(level, set_level))]);

/// The level; `default` if it has none of its own.
fn level(module: &&'static Module, to: &mut Text) -> Result<()> {
    to.push(match module.level() {
        None => b"default\n",
        Some(LevelFilter::Off) => b"off\n",
        Some(LevelFilter::Error) => b"error\n",
        Some(LevelFilter::Warn) => b"warn\n",
        Some(LevelFilter::Info) => b"info\n",
        Some(LevelFilter::Debug) => b"debug\n",
        Some(LevelFilter::Trace) => b"trace\n",
    })
}

fn set_level(module: &&'static Module, text: &str) -> Result<()> {
    module.set_level(match text {
        "default" => None,
        "off" => Some(LevelFilter::Off),
        "error" => Some(LevelFilter::Error),
        "warn" => Some(LevelFilter::Warn),
        "info" => Some(LevelFilter::Info),
        "debug" => Some(LevelFilter::Debug),
        "trace" => Some(LevelFilter::Trace),
        _ => return Err(Errno::EINVAL),
    });
    Ok(())
}

impl Directory for Parameters {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        Ok(FILES.find(name, || self.0))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        FILES.list(from, visit)
    }
}
