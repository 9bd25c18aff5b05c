//! Number to handler.

use abi::Result;
use abi::nr;

use crate::call::Call;
use crate::{
    attributes, directories, identity, io, limits, locks, memory_calls, mounts, names, paths, poll,
    positions, sched, signals, system, time, waits,
};

/// A system call's code.
pub(crate) type Handler = fn(&Call<'_>) -> Result<usize>;

/// The table, indexed by number.
#[expect(clippy::indexing_slicing, reason = "at compile time: a panic is a build error")]
static HANDLERS: [Option<Handler>; nr::TABLE_LEN] = {
    let mut table: [Option<Handler>; nr::TABLE_LEN] = [None; nr::TABLE_LEN];
    let mut index = 0;
    while index < ENTRIES.len() {
        let (number, handler) = ENTRIES[index];
        assert!(table[number].is_none(), "a system call has two handlers");
        table[number] = Some(handler);
        index += 1;
    }
    table
};

const ENTRIES: &[(usize, Handler)] = &[
    // files that are open
    (nr::READ, io::read),
    (nr::WRITE, io::write),
    (nr::READV, io::readv),
    (nr::WRITEV, io::writev),
    (nr::LSEEK, io::lseek),
    (nr::CLOSE, io::close),
    (nr::IOCTL, io::ioctl),
    (nr::POLL, poll::poll),
    (nr::PREAD64, positions::pread64),
    (nr::PWRITE64, positions::pwrite64),
    (nr::PREADV, positions::preadv),
    (nr::PWRITEV, positions::pwritev),
    (nr::SENDFILE, positions::sendfile),
    (nr::COPY_FILE_RANGE, positions::copy_file_range),
    (nr::FTRUNCATE, positions::ftruncate),
    (nr::FALLOCATE, positions::fallocate),
    (nr::FSYNC, positions::fsync),
    (nr::FDATASYNC, positions::fdatasync),
    (nr::SYNC, positions::sync),
    (nr::SYNCFS, positions::syncfs),
    (nr::FCNTL, positions::fcntl),
    (nr::FLOCK, locks::flock),
    // files by path
    (nr::OPEN, paths::open),
    (nr::OPENAT, paths::openat),
    (nr::CREAT, paths::creat),
    (nr::STAT, paths::stat),
    (nr::LSTAT, paths::lstat),
    (nr::FSTAT, paths::fstat),
    (nr::NEWFSTATAT, paths::newfstatat),
    (nr::READLINK, paths::readlink),
    (nr::READLINKAT, paths::readlinkat),
    (nr::CHDIR, paths::chdir),
    (nr::FCHDIR, paths::fchdir),
    (nr::GETCWD, paths::getcwd),
    (nr::GETDENTS64, directories::getdents64),
    (nr::MKDIR, names::mkdir),
    (nr::MKDIRAT, names::mkdirat),
    (nr::MKNOD, names::mknod),
    (nr::MKNODAT, names::mknodat),
    (nr::SYMLINK, names::symlink),
    (nr::SYMLINKAT, names::symlinkat),
    (nr::LINK, names::link),
    (nr::LINKAT, names::linkat),
    (nr::UNLINK, names::unlink),
    (nr::RMDIR, names::rmdir),
    (nr::UNLINKAT, names::unlinkat),
    (nr::RENAME, names::rename),
    (nr::RENAMEAT, names::renameat),
    (nr::RENAMEAT2, names::renameat2),
    (nr::ACCESS, attributes::access),
    (nr::FACCESSAT, attributes::faccessat),
    (nr::FACCESSAT2, attributes::faccessat2),
    (nr::CHMOD, attributes::chmod),
    (nr::FCHMOD, attributes::fchmod),
    (nr::FCHMODAT, attributes::fchmodat),
    (nr::FCHMODAT2, attributes::fchmodat2),
    (nr::CHOWN, attributes::chown),
    (nr::LCHOWN, attributes::lchown),
    (nr::FCHOWN, attributes::fchown),
    (nr::FCHOWNAT, attributes::fchownat),
    (nr::UTIMENSAT, attributes::utimensat),
    (nr::UTIMES, attributes::utimes),
    (nr::FUTIMESAT, attributes::futimesat),
    (nr::UTIME, attributes::utime),
    (nr::TRUNCATE, attributes::truncate),
    (nr::STATX, attributes::statx),
    (nr::STATFS, attributes::statfs),
    (nr::FSTATFS, attributes::fstatfs),
    (nr::UMASK, attributes::umask),
    (nr::MOUNT, mounts::mount),
    (nr::UMOUNT2, mounts::umount2),
    // memory
    (nr::MMAP, memory_calls::mmap),
    (nr::MUNMAP, memory_calls::munmap),
    (nr::MPROTECT, memory_calls::mprotect),
    (nr::MREMAP, memory_calls::mremap),
    (nr::MADVISE, memory_calls::madvise),
    (nr::MINCORE, memory_calls::mincore),
    (nr::MSYNC, memory_calls::msync),
    (nr::BRK, memory_calls::brk),
    // signals
    (nr::RT_SIGACTION, signals::rt_sigaction),
    (nr::RT_SIGPROCMASK, signals::rt_sigprocmask),
    (nr::RT_SIGPENDING, signals::rt_sigpending),
    (nr::SIGALTSTACK, signals::sigaltstack),
    (nr::KILL, signals::kill),
    (nr::TKILL, signals::tkill),
    (nr::TGKILL, signals::tgkill),
    // processes and threads
    (nr::EXIT, identity::exit),
    (nr::EXIT_GROUP, identity::exit),
    (nr::GETPID, identity::getpid),
    (nr::GETTID, identity::gettid),
    (nr::GETPPID, identity::getppid),
    (nr::WAIT4, waits::wait4),
    (nr::GETUID, identity::zero),
    (nr::GETEUID, identity::zero),
    (nr::GETGID, identity::zero),
    (nr::GETEGID, identity::zero),
    (nr::ARCH_PRCTL, identity::arch_prctl),
    (nr::SET_TID_ADDRESS, identity::set_tid_address),
    (nr::SET_ROBUST_LIST, identity::set_robust_list),
    (nr::RSEQ, identity::rseq),
    (nr::PRLIMIT64, limits::prlimit64),
    (nr::GETRLIMIT, limits::getrlimit),
    // scheduling
    (nr::SCHED_YIELD, sched::sched_yield),
    (nr::SCHED_GETAFFINITY, sched::sched_getaffinity),
    (nr::SCHED_SETAFFINITY, sched::sched_setaffinity),
    (nr::SCHED_GETSCHEDULER, sched::sched_getscheduler),
    (nr::SCHED_SETSCHEDULER, sched::sched_setscheduler),
    (nr::SCHED_GETPARAM, sched::sched_getparam),
    (nr::SCHED_SETPARAM, sched::sched_setparam),
    (nr::SCHED_GET_PRIORITY_MAX, sched::sched_get_priority_max),
    (nr::SCHED_GET_PRIORITY_MIN, sched::sched_get_priority_min),
    (nr::SCHED_RR_GET_INTERVAL, sched::sched_rr_get_interval),
    (nr::GETPRIORITY, sched::getpriority),
    (nr::SETPRIORITY, sched::setpriority),
    (nr::GETCPU, sched::getcpu),
    // time
    (nr::CLOCK_GETTIME, time::clock_gettime),
    (nr::CLOCK_GETRES, time::clock_getres),
    (nr::CLOCK_NANOSLEEP, time::clock_nanosleep),
    (nr::NANOSLEEP, time::nanosleep),
    (nr::GETTIMEOFDAY, time::gettimeofday),
    (nr::TIME, time::time),
    // the system
    (nr::UNAME, system::uname),
    (nr::SETHOSTNAME, system::sethostname),
    (nr::SETDOMAINNAME, system::setdomainname),
    (nr::SYSINFO, system::sysinfo),
    (nr::GETRANDOM, system::getrandom),
];

/// The handler of a call; `None` if it is not there.
pub(crate) fn handler(number: usize) -> Option<Handler> {
    HANDLERS.get(number).copied().flatten()
}

/// Calls without a handler in the table, for it would not see all registers.
const WHOLE_FRAME: [usize; 4] = [nr::RT_SIGRETURN, nr::FORK, nr::VFORK, nr::CLONE];

/// Whether the call is one that reads or changes all registers.
pub(crate) fn needs_whole_frame(number: usize) -> bool {
    WHOLE_FRAME.contains(&number)
}

/// How many calls there are.
pub const COUNT: usize = ENTRIES.len() + WHOLE_FRAME.len();
