//! Starting a program: [`start`] makes a process of an ELF file.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use abi::auxv::{
    AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_FLAGS, AT_GID, AT_HWCAP, AT_MINSIGSTKSZ,
    AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_SECURE, AT_UID,
};
use abi::fcntl::{O_RDONLY, O_RDWR};
use abi::stack_image::{self, StackRequest};
use arch::cpu::tables::{USER_CODE, USER_DATA};
use arch::cpu::{features, fpu};
use arch::trap::TrapFrame;
use elf_image::{ElfError, Image, Kind, Limits, ProgramFile, Unreadable};
use fs::{Credentials, LastLink, OpenFile, Path};
use memory::OutOfMemory;
use memory::frames::{self, Allowance};
use vm::layout::{Layout, STACK_BYTES, STACK_START_BYTES, USER_START};
use vm::{
    Access, AddressSpace, Backing, FaultKind, MapRequest, MemoryObject, PAGE, Placement, VmaFlags,
};

use crate::console::{self, Console};
use crate::fds::Descriptors;
use crate::foreground;
use crate::places::Places;
use crate::process::{Parts, Process};
use crate::signal::Signals;
use crate::thread::Thread;
use crate::tree::{Refusal, Reserved};

/// Most bytes of arguments and environment, as on Linux: a quarter of the stack.
const ARGUMENTS_BYTES: usize = STACK_BYTES as usize / 4;
/// Ticks a second as times(2) counts them.
const CLOCK_TICKS: u64 = 100;
/// RFLAGS of a new program: interrupts on, and the bit that is always set.
const INITIAL_FLAGS: u64 = 0x202;

/// Why a program cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecError {
    /// There is no such file, or the way to it is wrong.
    Path(Errno),
    /// It is a directory or another thing without bytes to run.
    NotAFile,
    /// Nobody may execute it.
    NotExecutable,
    /// Nothing may be executed from the file system, as it is mounted.
    MountedNoExec,
    /// It is not a program that can be loaded.
    Elf(ElfError),
    /// Arguments and environment are too long, or have a NUL.
    Arguments(Errno),
    /// No memory.
    OutOfMemory,
    /// There are as many processes as there may be.
    TooManyProcesses,
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(errno) => f.write_str(errno.description()),
            Self::NotAFile => f.write_str("not a file"),
            Self::NotExecutable => f.write_str("not executable: its mode has no x"),
            Self::MountedNoExec => f.write_str("not executable: mounted noexec"),
            Self::Elf(error) => error.fmt(f),
            Self::Arguments(errno) => write!(f, "arguments: {}", errno.description()),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::TooManyProcesses => f.write_str("too many processes"),
        }
    }
}

impl From<OutOfMemory> for ExecError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<Refusal> for ExecError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooMany => Self::TooManyProcesses,
            // Signals concern those that have a parent.
            Refusal::OutOfMemory | Refusal::Signal => Self::OutOfMemory,
        }
    }
}

/// A program in its address space, ready to run.
struct Loaded {
    space: Arc<AddressSpace>,
    entry: u64,
    stack_pointer: u64,
}

fn map_fixed(
    space: &AddressSpace,
    start: u64,
    end: u64,
    access: Access,
    flags: VmaFlags,
    backing: Backing,
) -> Result<(), ExecError> {
    if start == end {
        return Ok(());
    }
    // The whole program was measured against what is free.
    let placement = Placement::FixedNoReplace(start);
    let len = end - start;
    let request = MapRequest { placement, len, access, flags, backing };
    space.map(request).map(|_| ()).map_err(|_| ExecError::OutOfMemory)
}

/// Maps the segments of `image` with every address moved by `bias`.
fn map_segments(
    space: &AddressSpace,
    image: &Image,
    bias: u64,
    file: &Arc<dyn MemoryObject>,
) -> Result<(), ExecError> {
    let moved = |address: u64| address.wrapping_add(bias);
    let plain = VmaFlags::empty();
    for segment in &image.segments {
        let pages = segment.pages();
        let access = Access {
            read: segment.flags.read,
            write: segment.flags.write,
            execute: segment.flags.execute,
        };
        let mut file_end = pages.start;
        if segment.file_len > 0 {
            file_end = (segment.vaddr + segment.file_len).next_multiple_of(PAGE);
            // What comes behind the file's bytes in the last page is zero only if memory is.
            let is_cut = segment.mem_len > segment.file_len;
            let end = if is_cut { segment.file_offset + segment.file_len } else { u64::MAX };
            let backing = Backing::Object {
                object: file.clone(),
                offset: segment.file_offset - (segment.vaddr - pages.start),
                end,
            };
            map_fixed(space, moved(pages.start), moved(file_end), access, plain, backing)?;
        }
        let zeros = Backing::Anonymous;
        map_fixed(space, moved(file_end), moved(pages.end), access, plain, zeros)?;
    }
    Ok(())
}

/// What the auxiliary vector tells a program about itself and the machine.
fn auxiliary_vector(image: &Image, bias: u64) -> Vec<(u64, u64)> {
    let mut vector = Vec::new();
    let mut push = |key: u32, value: u64| vector.push((u64::from(key), value));
    push(AT_HWCAP, features().hwcap.into());
    push(AT_PAGESZ, PAGE);
    push(AT_CLKTCK, CLOCK_TICKS);
    // A reader needs all three or none.
    if let Some(headers) = image.phdr_vaddr {
        push(AT_PHDR, headers.wrapping_add(bias));
        push(AT_PHENT, image.phdr_entry_size.into());
        push(AT_PHNUM, image.phdr_count.into());
    }
    push(AT_BASE, 0);
    push(AT_FLAGS, 0);
    push(AT_ENTRY, image.entry.wrapping_add(bias));
    for key in [AT_UID, AT_EUID, AT_GID, AT_EGID, AT_SECURE] {
        push(key, 0);
    }
    // The frame, its alignment and the FPU state.
    push(AT_MINSIGSTKSZ, 1024 + fpu::state_bytes() as u64);
    vector
}

/// Whether programs get random layouts.
static RANDOM_LAYOUT: AtomicBool = AtomicBool::new(true);

/// Makes all programs that are started from now on have the same layout, or random ones.
pub fn set_random_layout(on: bool) {
    RANDOM_LAYOUT.store(on, Ordering::Relaxed);
}

fn choose_layout() -> Layout {
    if !RANDOM_LAYOUT.load(Ordering::Relaxed) {
        return Layout::FIXED;
    }
    let mut bytes = [0; 32];
    drivers::random::fill(&mut bytes);
    let (words, _) = bytes.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
    Layout::random([(); 4].map(|()| words.next().unwrap_or(0)))
}

/// Where a position-independent program goes, as what is added to its addresses. The sums
/// wrap: a program may be linked to higher addresses than it runs at.
fn choose_bias(image: &Image, layout: &Layout) -> u64 {
    let span = image.span();
    let first = span.start & !(image.alignment - 1);
    let end_at =
        |base: u64| base.checked_add(span.end - first).filter(|&end| end <= layout.mmap_top);
    // A program with an odd alignment or of great length goes as low as it can.
    let usual = layout.pie_base.checked_next_multiple_of(image.alignment);
    let base = usual.filter(|&base| end_at(base).is_some());
    base.unwrap_or_else(|| USER_START.next_multiple_of(image.alignment)).wrapping_sub(first)
}

// Not part of its caller, whose frame is deep in the stack when the program is started.
#[inline(never)]
fn load(
    file: Arc<dyn MemoryObject>,
    path: &[u8],
    args: &[&[u8]],
    env: &[&[u8]],
) -> Result<Loaded, ExecError> {
    let free = frames::statistics();
    let layout = choose_layout();
    let limits = Limits {
        lowest: USER_START,
        highest: layout.stack_bottom(),
        max_memory: free.free.saturating_sub(free.reserve) as u64 * PAGE,
    };
    let image = Image::read(&Contents(&*file), &limits).map_err(ExecError::Elf)?;
    let bias = match image.kind {
        Kind::Fixed => 0,
        Kind::PositionIndependent => choose_bias(&image, &layout),
    };
    let space = AddressSpace::new(layout)?;
    map_segments(&space, &image, bias, &file)?;
    space.set_break_start(image.span().end.wrapping_add(bias));

    let access = Access { read: true, write: true, execute: image.executable_stack };
    let (top, flags) = (layout.stack_top, VmaFlags::GROWS_DOWN);
    map_fixed(&space, top - STACK_START_BYTES, top, access, flags, Backing::Anonymous)?;
    let mut random = [0; 16];
    drivers::random::fill(&mut random);
    let stack = stack_image::build(&StackRequest {
        args,
        env,
        auxv: &auxiliary_vector(&image, bias),
        random,
        platform: b"x86_64",
        exec_path: path,
        top,
        limit: ARGUMENTS_BYTES,
    })
    .map_err(ExecError::Arguments)?;
    space.write_initial(stack.sp, &stack.bytes).map_err(|kind| match kind {
        FaultKind::OutOfMemory => ExecError::OutOfMemory,
        // The whole stack is mapped.
        kind => unreachable!("initial stack: {kind:?}"),
    })?;
    Ok(Loaded { space, entry: image.entry.wrapping_add(bias), stack_pointer: stack.sp })
}

/// The bytes of a program, if it may be run.
fn open(program: &Path) -> Result<Arc<dyn MemoryObject>, ExecError> {
    if program.kind() != fs::Kind::Regular {
        return Err(ExecError::NotAFile);
    }
    if !program.status().is_executable() {
        return Err(ExecError::NotExecutable);
    }
    if program.mount().is_no_exec() {
        return Err(ExecError::MountedNoExec);
    }
    program
        .clone()
        .open(&Credentials::ROOT, O_RDONLY)
        .and_then(|file| file.program())
        .map_err(ExecError::Path)
}

/// A program's bytes, for whoever reads its headers.
struct Contents<'a>(&'a dyn MemoryObject);

impl ProgramFile for Contents<'_> {
    fn size(&self) -> u64 {
        self.0.len()
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        // A file that has become shorter would leave the rest as it was.
        if offset.checked_add(to.len() as u64).is_none_or(|end| end > self.0.len()) {
            return Err(Unreadable);
        }
        self.0.read_at(offset, to).map_err(|_| Unreadable)
    }
}

/// Arguments or variables, which were found to be few enough, with a zero byte behind each.
fn with_zeros(args: &[&[u8]]) -> Result<Vec<u8>, OutOfMemory> {
    let len: usize = args.iter().map(|arg| arg.len() + 1).sum();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| OutOfMemory)?;
    for arg in args {
        bytes.extend_from_slice(arg);
        bytes.push(0);
    }
    Ok(bytes)
}

/// Starts the program at `path` with arguments (the first is the program's name) and
/// environment, its descriptors 0 to 2 on the console. Relative paths begin at the root.
///
/// # Errors
/// As [`ExecError`] says; nothing runs then.
pub fn start(path: &[u8], args: &[&[u8]], env: &[&[u8]]) -> Result<Arc<Process>, ExecError> {
    let _allowance = Allowance::take(crate::process::FRAMES)?;
    let root = fs::root().map_err(ExecError::Path)?;
    let program =
        fs::lookup(&Credentials::ROOT, &root, path, LastLink::Follow).map_err(ExecError::Path)?;
    let file = open(&program)?;
    let loaded = load(file, path, args, env)?;
    let (arguments, environment) = (with_zeros(args)?, with_zeros(env)?);
    let number = Reserved::take()?;
    let terminal = OpenFile::new(Console::file(), O_RDWR);
    let parts = Parts {
        parent: 0,
        job: foreground::job(),
        exit_signal: None,
        executable: path.into(),
        arguments: Arc::new(arguments),
        environment: Arc::new(environment),
        descriptors: Descriptors::with_standard(&terminal),
        places: Places::new(root, program),
        signals: Signals::new()?,
    };
    let process = Process::new(&number, parts);
    let thread = Thread::new(process.clone(), loaded.space);
    let frame = TrapFrame {
        rip: loaded.entry,
        rsp: loaded.stack_pointer,
        cs: USER_CODE.into(),
        ss: USER_DATA.into(),
        rflags: INITIAL_FLAGS,
        ..TrapFrame::default()
    };
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let name = alloc::string::String::from_utf8_lossy(name);
    // It may send itself a signal before this call returns, so it knows its task first.
    task::spawn_user(&name, thread, frame, None, |task| {
        process.set_task(task);
        number.fill(&process, None).map_err(ExecError::from)
    })?;
    Ok(process)
}

/// Forgets what earlier programs left unread on the console.
pub fn flush_console() {
    console::flush();
}
