//! What the system is called: what uname(2), `/proc/version` and `/proc/sys/kernel` tell.

use abi::{Errno, Result};
use arrayvec::ArrayVec;
use base::sync::SpinLock;

/// The system whose ABI this is.
pub const SYSTEM: &str = "Linux";
/// Its release, for programs that ask for one; ours stands behind it.
pub const RELEASE: &str = concat!("6.1.0-basalt-", env!("CARGO_PKG_VERSION"));
/// What it really is.
pub const VERSION: &str = concat!("Basalt ", env!("CARGO_PKG_VERSION"));
/// The kind of machine.
pub const MACHINE: &str = "x86_64";

/// Most bytes of a name, as uname(2) has room for.
pub const MOST_BYTES: usize = abi::utsname::__NEW_UTS_LEN as usize;

/// A name that can be set. Any bytes will do.
#[derive(Debug)]
pub struct Name {
    /// Empty as long as nobody has set it.
    set: SpinLock<Option<ArrayVec<u8, MOST_BYTES>>>,
    first: &'static str,
}

/// What the machine is called (hostname(1)).
pub static HOST: Name = Name::new("basalt");
/// Its domain, as NIS has it (domainname(1)).
pub static DOMAIN: Name = Name::new("(none)");

impl Name {
    const fn new(first: &'static str) -> Self {
        Self { set: SpinLock::new("name of the machine", None), first }
    }

    /// The name.
    pub fn bytes(&self) -> ArrayVec<u8, MOST_BYTES> {
        let set = self.set.lock().clone();
        set.unwrap_or_else(|| self.first.bytes().take(MOST_BYTES).collect())
    }

    /// Sets it.
    ///
    /// # Errors
    /// `EINVAL` if it is longer than [`MOST_BYTES`].
    pub fn set(&self, name: &[u8]) -> Result<()> {
        let name = ArrayVec::try_from(name).map_err(|_| Errno::EINVAL)?;
        *self.set.lock() = Some(name);
        Ok(())
    }
}

#[base::kernel_test]
fn names_are_set_and_bounded() {
    let name = Name::new("first");
    assert_eq!(&*name.bytes(), b"first");
    assert_eq!(name.set(&[b'x'; MOST_BYTES + 1]), Err(Errno::EINVAL));
    assert_eq!(name.set(b"\xff second"), Ok(()));
    assert_eq!(&*name.bytes(), b"\xff second");
    assert_eq!(name.set(b""), Ok(()));
    assert_eq!(&*name.bytes(), b"");
}
