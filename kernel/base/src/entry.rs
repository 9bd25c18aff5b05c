//! Where Rust begins: [`entry!`](crate::entry!) names the function that the boot assembly
//! calls, and [`LoaderInformation`] is what the boot loader left.

/// The loader's promise that there is Multiboot2 information at a physical address. Only
/// the entry macro makes one.
#[derive(Debug)]
pub struct LoaderInformation(u64);

impl LoaderInformation {
    /// # Safety
    /// `address` is the physical address that a Multiboot2 loader passed to the kernel,
    /// and the boot page tables are still in use.
    #[doc(hidden)]
    pub unsafe fn new(address: u64) -> Self {
        Self(address)
    }

    /// Physical address of the information.
    pub fn address(&self) -> u64 {
        self.0
    }
}

/// Makes `$main`, a `fn(LoaderInformation) -> !`, the kernel's first Rust function: called
/// on the boot stack, interrupts off, boot page tables in use. Trusted code, since it
/// exports the symbol that `long_mode.S` calls.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn kernel_entry(information: u64) -> ! {
            let main: fn($crate::entry::LoaderInformation) -> ! = $main;
            // SAFETY: called once, by `long_mode.S`, with what the loader passed.
            main(unsafe { $crate::entry::LoaderInformation::new(information) })
        }
    };
}
