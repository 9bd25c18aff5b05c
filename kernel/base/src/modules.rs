//! The kernel's modules: its crates, each of which names itself once with
//! [`module!`](crate::module!). What they log may have a level of its own.
//!
//! The log asks for each record that its macros let through, so [`is_logged`] takes no lock and
//! allocates nothing. The macros look at one level for all (`log::max_level`): that is the
//! highest of the levels here.

use core::sync::atomic::{AtomicU8, Ordering};

use log::{Level, LevelFilter};

/// Stands for the level of the log as a whole.
const AS_ALL: u8 = u8::MAX;

/// A crate of the kernel.
#[derive(Debug)]
#[repr(C)]
pub struct Module {
    name: &'static str,
    version: &'static str,
    level: AtomicU8,
}

/// The level of those that have none of their own.
static LEVEL: AtomicU8 = AtomicU8::new(LevelFilter::Info as u8);

unsafe extern "C" {
    static __modules_start: u8;
    static __modules_end: u8;
}

/// All modules, in link order.
pub fn all() -> &'static [Module] {
    let start = &raw const __modules_start;
    let bytes = &raw const __modules_end as usize - start as usize;
    // SAFETY: the linker put the section's `Module` statics one after another between the two
    // symbols; nothing else goes there, and what of them changes is an atomic.
    unsafe { core::slice::from_raw_parts(start.cast(), bytes / size_of::<Module>()) }
}

/// The module of a name.
pub fn find(name: &str) -> Option<&'static Module> {
    all().iter().find(|module| module.name == name)
}

fn filter(number: u8) -> LevelFilter {
    LevelFilter::iter().find(|level| *level as u8 == number).unwrap_or(LevelFilter::Info)
}

impl Module {
    /// What `module!` makes.
    #[doc(hidden)]
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self { name, version, level: AtomicU8::new(AS_ALL) }
    }

    /// The crate's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The crate's version.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Up to which level it logs; `None` if it has no level of its own.
    pub fn level(&self) -> Option<LevelFilter> {
        let level = self.level.load(Ordering::Relaxed);
        (level != AS_ALL).then(|| filter(level))
    }

    /// Sets up to which level it logs; with `None` as the log as a whole.
    pub fn set_level(&self, level: Option<LevelFilter>) {
        self.level.store(level.map_or(AS_ALL, |level| level as u8), Ordering::Relaxed);
        update();
    }
}

/// Up to which level those log that have no level of their own.
pub fn level() -> LevelFilter {
    filter(LEVEL.load(Ordering::Relaxed))
}

/// Sets it.
pub fn set_level(level: LevelFilter) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    update();
}

/// Has the macros of the log look at nothing that no module logs.
fn update() {
    let highest = all().iter().filter_map(Module::level).fold(level(), Ord::max);
    log::set_max_level(highest);
}

/// Whether a record of this level is logged that comes from `target`, a module path.
pub fn is_logged(target: &str, record: Level) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    record <= find(name).and_then(Module::level).unwrap_or_else(level)
}

/// Makes the crate a [`Module`](crate::modules::Module): once, in its `lib.rs`. Trusted code:
/// it puts a static into a section.
#[macro_export]
macro_rules! module {
    () => {
        const _: () = {
            #[used]
            #[unsafe(link_section = ".data.modules")]
            static MODULE: $crate::modules::Module =
                $crate::modules::Module::new(env!("CARGO_CRATE_NAME"), env!("CARGO_PKG_VERSION"));
        };
    };
}

#[macros::kernel_test]
fn a_module_has_a_level_of_its_own_or_that_of_all() {
    let (module, before, all) = (find("base").expect("this crate"), log::max_level(), level());
    assert!(find("bas").is_none() && find("").is_none());
    let logged = |record| is_logged("base::modules", record);
    module.set_level(Some(LevelFilter::Error));
    assert!(logged(Level::Error) && !logged(Level::Warn));
    assert!(!is_logged("base", Level::Warn) && is_logged("elsewhere", Level::Error));
    module.set_level(Some(LevelFilter::Trace));
    assert!(logged(Level::Trace) && log::max_level() == LevelFilter::Trace);
    assert!(!is_logged("elsewhere", Level::Trace) && !is_logged("bas::e", Level::Trace));
    module.set_level(Some(LevelFilter::Off));
    assert!(!logged(Level::Error) && level() == all);
    module.set_level(None);
    assert_eq!((module.level(), log::max_level()), (None, before));
}
