//! Functions that are called at boot, gathered by the linker: what a driver does to be known
//! ([`initcall!`](crate::initcall!)), so that no list names all drivers.

/// When a function is called. All of one stage are called before the next stage's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Buses are made known.
    Buses,
    /// Drivers are.
    Drivers,
    /// Devices that no bus finds are added, and buses look for theirs.
    Devices,
}

/// An entry of the table.
#[derive(Debug)]
#[repr(C)]
pub struct InitCall {
    /// When.
    pub stage: Stage,
    /// Path of the function.
    pub name: &'static str,
    /// The function.
    pub function: fn(),
}

unsafe extern "C" {
    static __initcalls_start: u8;
    static __initcalls_end: u8;
}

/// All entries, in link order.
pub fn all() -> &'static [InitCall] {
    let start = &raw const __initcalls_start;
    let bytes = &raw const __initcalls_end as usize - start as usize;
    // SAFETY: the linker put the section's `InitCall` statics one after another between the
    // two symbols; nothing else goes there.
    unsafe { core::slice::from_raw_parts(start.cast(), bytes / size_of::<InitCall>()) }
}

/// Calls the functions of a stage, in link order, which means nothing. Call once for each
/// stage, from a task.
pub fn run(stage: Stage) {
    for call in all().iter().filter(|call| call.stage == stage) {
        log::debug!("{stage:?}: {}", call.name);
        (call.function)();
    }
}

/// Has a function `fn()` called at a [`Stage`](crate::initcall::Stage) of the boot:
/// `initcall!(Drivers, register);`. Trusted code: it puts a static into a section.
#[macro_export]
macro_rules! initcall {
    ($stage:ident, $function:path) => {
        const _: () = {
            #[used]
            #[unsafe(link_section = ".initcalls")]
            static CALL: $crate::initcall::InitCall = $crate::initcall::InitCall {
                stage: $crate::initcall::Stage::$stage,
                name: concat!(module_path!(), "::", stringify!($function)),
                function: $function,
            };
        };
    };
}
