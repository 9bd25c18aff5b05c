//! Error numbers: [`Errno`], the error type of everything that ends as the
//! result of a system call.
//!
//! The numbers come from `linux_raw_sys::errno`; the descriptions are those of
//! `strerror(3)`.

use core::fmt;
use core::num::NonZeroU16;

use linux_raw_sys::errno as raw;

/// A Linux error number, 1 to 4095; two bytes, and `Option<Errno>` too.
///
/// `Debug` and `Display` print the name (`EFAULT`), or `errno N` for a number
/// that Linux has no name for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(NonZeroU16);

/// What a system call or a part of one gives back.
pub type Result<T, E = Errno> = core::result::Result<T, E>;

/// The greatest error number: the top 4095 values of `rax` are errors.
const MAX_ERRNO: u16 = 4095;

impl Errno {
    /// The constant for an error number of `linux_raw_sys`, checked at compile time.
    const fn known(code: u32) -> Self {
        assert!(code <= MAX_ERRNO as u32);
        match NonZeroU16::new(code as u16) {
            Some(code) => Self(code),
            None => panic!("0 is no error number"),
        }
    }

    /// The error with this number; `None` if it is not within 1 to 4095.
    #[must_use]
    pub const fn from_code(code: i32) -> Option<Self> {
        if code < 1 || code > MAX_ERRNO as i32 {
            return None;
        }
        match NonZeroU16::new(code as u16) {
            Some(code) => Some(Self(code)),
            None => None,
        }
    }

    /// The number, positive: 14 for `EFAULT`.
    #[must_use]
    pub const fn code(self) -> i32 {
        self.0.get() as i32
    }

    /// The number as a system call returns it in `rax`: -14 for `EFAULT`.
    #[must_use]
    pub const fn to_return(self) -> u64 {
        (-(self.code() as i64)) as u64
    }

    /// The name, `EFAULT`; `None` for a number without one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|(name, _)| name)
    }

    /// What went wrong in words, as `strerror(3)` says it: "Bad address".
    #[must_use]
    pub fn description(self) -> &'static str {
        self.entry().map_or("Unknown error", |(_, description)| description)
    }

    fn entry(self) -> Option<(&'static str, &'static str)> {
        *NAMES.get(usize::from(self.0.get()))?
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "errno {}", self.code()),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Errno {}

/// What a system call leaves in `rax`: the value, or the error as its negative
/// number.
#[must_use]
pub const fn to_return(result: Result<usize>) -> u64 {
    match result {
        Ok(value) => value as u64,
        Err(errno) => errno.to_return(),
    }
}

/// Defines the constants and [`NAMES`] from one list.
macro_rules! errnos {
    ($($name:ident => $description:literal,)*) => {
        impl Errno {
            $(
                #[doc = $description]
                pub const $name: Self = Self::known(raw::$name);
            )*
            /// The same error as [`EAGAIN`](Self::EAGAIN).
            pub const EWOULDBLOCK: Self = Self::known(raw::EWOULDBLOCK);
            /// The same error as [`EDEADLK`](Self::EDEADLK).
            pub const EDEADLOCK: Self = Self::known(raw::EDEADLOCK);
        }

        /// One more than the greatest named error number.
        const NAMES_LEN: usize = {
            let mut len = 0;
            $(
                if raw::$name as usize >= len {
                    len = raw::$name as usize + 1;
                }
            )*
            len
        };

        /// Name and description by number.
        #[expect(clippy::indexing_slicing, reason = "at compile time: an index past the end is refused")]
        static NAMES: [Option<(&str, &str)>; NAMES_LEN] = {
            let mut names = [None; NAMES_LEN];
            $(
                assert!(names[raw::$name as usize].is_none());
                names[raw::$name as usize] = Some((stringify!($name), $description));
            )*
            names
        };
    };
}

errnos! {
    EPERM => "Operation not permitted",
    ENOENT => "No such file or directory",
    ESRCH => "No such process",
    EINTR => "Interrupted system call",
    EIO => "Input/output error",
    ENXIO => "No such device or address",
    E2BIG => "Argument list too long",
    ENOEXEC => "Exec format error",
    EBADF => "Bad file descriptor",
    ECHILD => "No child processes",
    EAGAIN => "Resource temporarily unavailable",
    ENOMEM => "Cannot allocate memory",
    EACCES => "Permission denied",
    EFAULT => "Bad address",
    ENOTBLK => "Block device required",
    EBUSY => "Device or resource busy",
    EEXIST => "File exists",
    EXDEV => "Invalid cross-device link",
    ENODEV => "No such device",
    ENOTDIR => "Not a directory",
    EISDIR => "Is a directory",
    EINVAL => "Invalid argument",
    ENFILE => "Too many open files in system",
    EMFILE => "Too many open files",
    ENOTTY => "Inappropriate ioctl for device",
    ETXTBSY => "Text file busy",
    EFBIG => "File too large",
    ENOSPC => "No space left on device",
    ESPIPE => "Illegal seek",
    EROFS => "Read-only file system",
    EMLINK => "Too many links",
    EPIPE => "Broken pipe",
    EDOM => "Numerical argument out of domain",
    ERANGE => "Numerical result out of range",
    EDEADLK => "Resource deadlock avoided",
    ENAMETOOLONG => "File name too long",
    ENOLCK => "No locks available",
    ENOSYS => "Function not implemented",
    ENOTEMPTY => "Directory not empty",
    ELOOP => "Too many levels of symbolic links",
    ENOMSG => "No message of desired type",
    EIDRM => "Identifier removed",
    ECHRNG => "Channel number out of range",
    EL2NSYNC => "Level 2 not synchronized",
    EL3HLT => "Level 3 halted",
    EL3RST => "Level 3 reset",
    ELNRNG => "Link number out of range",
    EUNATCH => "Protocol driver not attached",
    ENOCSI => "No CSI structure available",
    EL2HLT => "Level 2 halted",
    EBADE => "Invalid exchange",
    EBADR => "Invalid request descriptor",
    EXFULL => "Exchange full",
    ENOANO => "No anode",
    EBADRQC => "Invalid request code",
    EBADSLT => "Invalid slot",
    EBFONT => "Bad font file format",
    ENOSTR => "Device not a stream",
    ENODATA => "No data available",
    ETIME => "Timer expired",
    ENOSR => "Out of streams resources",
    ENONET => "Machine is not on the network",
    ENOPKG => "Package not installed",
    EREMOTE => "Object is remote",
    ENOLINK => "Link has been severed",
    EADV => "Advertise error",
    ESRMNT => "Srmount error",
    ECOMM => "Communication error on send",
    EPROTO => "Protocol error",
    EMULTIHOP => "Multihop attempted",
    EDOTDOT => "RFS specific error",
    EBADMSG => "Bad message",
    EOVERFLOW => "Value too large for defined data type",
    ENOTUNIQ => "Name not unique on network",
    EBADFD => "File descriptor in bad state",
    EREMCHG => "Remote address changed",
    ELIBACC => "Can not access a needed shared library",
    ELIBBAD => "Accessing a corrupted shared library",
    ELIBSCN => ".lib section in a.out corrupted",
    ELIBMAX => "Attempting to link in too many shared libraries",
    ELIBEXEC => "Cannot exec a shared library directly",
    EILSEQ => "Invalid or incomplete multibyte or wide character",
    ERESTART => "Interrupted system call should be restarted",
    ESTRPIPE => "Streams pipe error",
    EUSERS => "Too many users",
    ENOTSOCK => "Socket operation on non-socket",
    EDESTADDRREQ => "Destination address required",
    EMSGSIZE => "Message too long",
    EPROTOTYPE => "Protocol wrong type for socket",
    ENOPROTOOPT => "Protocol not available",
    EPROTONOSUPPORT => "Protocol not supported",
    ESOCKTNOSUPPORT => "Socket type not supported",
    EOPNOTSUPP => "Operation not supported",
    EPFNOSUPPORT => "Protocol family not supported",
    EAFNOSUPPORT => "Address family not supported by protocol",
    EADDRINUSE => "Address already in use",
    EADDRNOTAVAIL => "Cannot assign requested address",
    ENETDOWN => "Network is down",
    ENETUNREACH => "Network is unreachable",
    ENETRESET => "Network dropped connection on reset",
    ECONNABORTED => "Software caused connection abort",
    ECONNRESET => "Connection reset by peer",
    ENOBUFS => "No buffer space available",
    EISCONN => "Transport endpoint is already connected",
    ENOTCONN => "Transport endpoint is not connected",
    ESHUTDOWN => "Cannot send after transport endpoint shutdown",
    ETOOMANYREFS => "Too many references: cannot splice",
    ETIMEDOUT => "Connection timed out",
    ECONNREFUSED => "Connection refused",
    EHOSTDOWN => "Host is down",
    EHOSTUNREACH => "No route to host",
    EALREADY => "Operation already in progress",
    EINPROGRESS => "Operation now in progress",
    ESTALE => "Stale file handle",
    EUCLEAN => "Structure needs cleaning",
    ENOTNAM => "Not a XENIX named type file",
    ENAVAIL => "No XENIX semaphores available",
    EISNAM => "Is a named type file",
    EREMOTEIO => "Remote I/O error",
    EDQUOT => "Disk quota exceeded",
    ENOMEDIUM => "No medium found",
    EMEDIUMTYPE => "Wrong medium type",
    ECANCELED => "Operation canceled",
    ENOKEY => "Required key not available",
    EKEYEXPIRED => "Key has expired",
    EKEYREVOKED => "Key has been revoked",
    EKEYREJECTED => "Key was rejected by service",
    EOWNERDEAD => "Owner died",
    ENOTRECOVERABLE => "State not recoverable",
    ERFKILL => "Operation not possible due to RF-kill",
    EHWPOISON => "Memory page has hardware error",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_linux_has_its_name() {
        for code in 1..=133 {
            let errno = Errno::from_code(code).unwrap();
            assert_eq!(errno.code(), code);
            // 41 and 58 are not in use on x86.
            assert_eq!(errno.name().is_none(), code == 41 || code == 58, "{code}");
        }
        assert_eq!(Errno::EFAULT.code(), 14);
        assert_eq!(Errno::EHWPOISON.code(), 133);
        assert_eq!(Errno::EWOULDBLOCK, Errno::EAGAIN);
        assert_eq!(Errno::EDEADLOCK, Errno::EDEADLK);
    }

    #[test]
    fn numbers_out_of_range_are_none() {
        for code in [i32::MIN, -14, 0, 4096, 65536 + 14, i32::MAX] {
            assert_eq!(Errno::from_code(code), None);
        }
        assert_eq!(Errno::from_code(4095).map(Errno::code), Some(4095));
    }

    #[test]
    fn prints_its_name() {
        assert_eq!(format!("{} {:?}", Errno::ENOSYS, Errno::E2BIG), "ENOSYS E2BIG");
        assert_eq!(Errno::ENOENT.description(), "No such file or directory");
        let unnamed = Errno::from_code(512).unwrap();
        assert_eq!(format!("{unnamed}: {}", unnamed.description()), "errno 512: Unknown error");
    }

    #[test]
    fn the_build_machine_describes_them_the_same_way() {
        for code in (1..=133).filter_map(Errno::from_code).filter(|errno| errno.name().is_some()) {
            let host = std::io::Error::from_raw_os_error(code.code()).to_string();
            let expected = format!("{} (os error {})", code.description(), code.code());
            assert_eq!(host, expected);
        }
    }

    #[test]
    fn results_become_rax() {
        assert_eq!(to_return(Ok(5)), 5);
        assert_eq!(to_return(Err(Errno::EFAULT)), (-14i64) as u64);
        assert_eq!(size_of::<Result<()>>(), 2);
    }
}
