//! Kernel tests: functions marked `#[kernel_test]`, gathered by the linker.
//!
//! ```ignore
//! #[kernel_test]
//! fn frames_come_back() { … }
//!
//! #[kernel_test(should_panic = "freed twice")]
//! fn double_free_is_caught() { … }
//!
//! #[kernel_test(should_fault)]
//! fn null_is_not_mapped() { … }
//! ```
//!
//! The expected text must occur in the report; a fault's report begins with its name,
//! so `should_fault = "page fault"` narrows it down. The runner is on floor 4, since
//! each test has a task of its own: one that fails ends without running on, and what
//! it held stays as it was.

/// What a test is expected to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// To return.
    Success,
    /// To panic, with this text in the report.
    Panic(&'static str),
    /// To cause a CPU exception, with this text in its report.
    Fault(&'static str),
}

/// One test.
#[derive(Debug)]
#[repr(C)]
pub struct KernelTest {
    /// Module path and name of the function.
    pub name: &'static str,
    /// Source file.
    pub file: &'static str,
    /// Line of the attribute.
    pub line: u32,
    /// What it should do.
    pub expect: Expect,
    /// The function.
    pub body: fn(),
}

unsafe extern "C" {
    static __kernel_tests_start: u8;
    static __kernel_tests_end: u8;
}

/// All tests of the image, in link order.
pub fn all() -> &'static [KernelTest] {
    let start = &raw const __kernel_tests_start;
    let bytes = &raw const __kernel_tests_end as usize - start as usize;
    // SAFETY: the linker put the section's `KernelTest` statics one after another
    // between the two symbols; nothing else goes there.
    unsafe { core::slice::from_raw_parts(start.cast(), bytes / size_of::<KernelTest>()) }
}

/// What `#[kernel_test]` expands to. Trusted code: it puts a static into a section.
#[doc(hidden)]
#[macro_export]
macro_rules! __kernel_test {
    ($expect:expr, $name:ident, $function:item) => {
        $function
        const _: () = {
            #[used]
            #[unsafe(link_section = ".kernel_tests")]
            static TEST: $crate::ktest::KernelTest = $crate::ktest::KernelTest {
                name: concat!(module_path!(), "::", stringify!($name)),
                file: file!(),
                line: line!(),
                expect: $expect,
                body: $name,
            };
        };
    };
}
