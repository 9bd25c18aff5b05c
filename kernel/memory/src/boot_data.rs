//! What the boot loader left: Multiboot2 information through the `multiboot2` crate
//! (Multiboot2 specification, section 3.6), copied into [`BootData`] while the boot page
//! tables are in use, and the memory that it names.

use core::fmt;
use core::ops::Deref;

use arch::boot::{BOOT_MAPPED_BYTES, image_layout};
use arch::paging::PhysAddr;
use arrayvec::{ArrayString, ArrayVec};
use base::entry::LoaderInformation;
use multiboot2::{BootInformation, BootInformationHeader, FramebufferType, MemoryAreaType};

use crate::frames::{self, Region, RegionKind};
use crate::{OutOfMemory, PAGE_SIZE};

/// Most modules that are looked at.
pub const MAX_MODULES: usize = 8;
/// Most ELF sections that are looked at.
const MAX_SECTIONS: usize = 40;

/// Why the loader's information cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// It is not there, or broken, or lies above 4 GiB.
    BadInformation,
    /// It has no memory map.
    NoMemoryMap,
    /// The memory map has no room for the allocator, or too many things lie in it.
    OutOfMemory,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadInformation => "the boot loader's information cannot be read",
            Self::NoMemoryMap => "the boot loader gave no memory map",
            Self::OutOfMemory => "no room in the memory map",
        })
    }
}

impl From<OutOfMemory> for BootError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// A piece of memory that the loader filled. It stays as it is until somebody
/// [takes](BootMemory::take) it.
#[derive(Debug)]
pub struct BootMemory {
    start: u64,
    len: usize,
    is_taken: bool,
}

impl BootMemory {
    /// Physical address of the first byte.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, whose owner the caller is from now on; `None` if somebody is already.
    pub fn take(&mut self) -> Option<LoaderBytes> {
        let is_free = !core::mem::replace(&mut self.is_taken, true);
        is_free.then_some(LoaderBytes { start: self.start, len: self.len })
    }
}

/// The bytes of a [`BootMemory`]. Their memory is free when this is dropped.
#[derive(Debug)]
pub struct LoaderBytes {
    start: u64,
    len: usize,
}

impl LoaderBytes {
    /// The bytes, which stay for good.
    pub fn leak(self) -> &'static [u8] {
        let bytes: *const [u8] = &*self;
        core::mem::forget(self);
        // SAFETY: the bytes are there until `self` is dropped, which never happens now, and
        // nobody writes to them, as in `deref`.
        unsafe { &*bytes }
    }
}

impl Deref for LoaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: a `BootMemory` is only made below, for ranges that the loader names, that
        // lie below 4 GiB in RAM (so both the boot tables and the physical map show them), and
        // that `start` reserves. It gives one `LoaderBytes`, which alone frees them, when no
        // reference that was made here lives any more; nobody writes to them before.
        unsafe {
            core::slice::from_raw_parts(PhysAddr::new(self.start).to_physmap().as_ptr(), self.len)
        }
    }
}

impl Drop for LoaderBytes {
    fn drop(&mut self) {
        // A page at either end may have other things of the loader's in it.
        let first = self.start.next_multiple_of(PAGE_SIZE);
        let end = (self.start + self.len as u64) / PAGE_SIZE * PAGE_SIZE;
        let count = end.saturating_sub(first) / PAGE_SIZE;
        // SAFETY: whole frames of reserved memory, of which this was the only owner (see
        // `deref`), and no reference to the bytes outlives it.
        unsafe { frames::free_unowned(PhysAddr::new(first), count as usize) };
    }
}

/// A module that GRUB loaded.
#[derive(Debug)]
pub struct Module {
    /// The words behind its file name in the GRUB configuration.
    pub name: ArrayString<64>,
    /// Its contents.
    pub memory: BootMemory,
}

/// An ELF section of the kernel file, as GRUB tells.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: ArrayString<32>,
    /// Address: linked, or where GRUB put a section that is not part of the image.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// Whether it is part of the image.
    pub allocated: bool,
}

/// How the framebuffer shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramebufferKind {
    /// EGA text: 16-bit characters with attributes.
    Text,
    /// A palette of colours.
    Indexed,
    /// Red, green, blue as (position, bits).
    Rgb {
        /// Red.
        red: (u8, u8),
        /// Green.
        green: (u8, u8),
        /// Blue.
        blue: (u8, u8),
    },
}

/// The framebuffer that GRUB set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// Physical address.
    pub address: u64,
    /// Bytes from line to line.
    pub pitch: u32,
    /// Pixels, or characters, per line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bits per pixel.
    pub bits: u8,
    /// How it shows colours.
    pub kind: FramebufferKind,
}

/// Physical address of the table that lists the ACPI tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootTable {
    /// With entries of 32 bits.
    Rsdt(u32),
    /// With entries of 64 bits.
    Xsdt(u64),
}

/// Everything the kernel keeps of the loader's information.
#[derive(Debug, Default)]
pub struct BootData {
    /// The loader's name.
    pub loader: ArrayString<64>,
    /// The command line as passed.
    pub command_line: Option<&'static str>,
    /// Modules in order.
    pub modules: ArrayVec<Module, MAX_MODULES>,
    /// Sections of the kernel file.
    pub sections: ArrayVec<Section, MAX_SECTIONS>,
    /// The symbol table that the build put into the kernel file.
    pub symbols: Option<BootMemory>,
    /// The framebuffer, if GRUB set one up.
    pub framebuffer: Option<Framebuffer>,
    /// The root of the ACPI tables.
    pub acpi: Option<RootTable>,
}

/// Name of the section with the symbol table.
const SYMBOL_SECTION: &str = ".basalt.symbols";

fn cut<const N: usize>(text: &str) -> ArrayString<N> {
    let mut to = ArrayString::new();
    for character in text.chars() {
        if to.try_push(character).is_err() {
            break;
        }
    }
    to
}

fn region_kind(kind: MemoryAreaType) -> RegionKind {
    match kind {
        MemoryAreaType::Available => RegionKind::Usable,
        MemoryAreaType::AcpiAvailable => RegionKind::AcpiTables,
        MemoryAreaType::ReservedHibernate => RegionKind::AcpiNvs,
        _ => RegionKind::Reserved,
    }
}

fn framebuffer(information: &BootInformation<'_>) -> Option<Framebuffer> {
    let tag = information.framebuffer_tag()?.ok()?;
    let kind = match tag.buffer_type().ok()? {
        FramebufferType::Text => FramebufferKind::Text,
        FramebufferType::Indexed { .. } => FramebufferKind::Indexed,
        FramebufferType::RGB { red, green, blue } => FramebufferKind::Rgb {
            red: (red.position, red.size),
            green: (green.position, green.size),
            blue: (blue.position, blue.size),
        },
    };
    Some(Framebuffer {
        address: tag.address(),
        pitch: tag.pitch(),
        width: tag.width(),
        height: tag.height(),
        bits: tag.bpp(),
        kind,
    })
}

/// Where the ACPI tables begin, as the loader's copy of the RSDP says. `None` with a log
/// line if its checksum is wrong.
fn root_table(information: &BootInformation<'_>) -> Option<RootTable> {
    let sums_to_zero =
        |bytes: &[u8]| bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) == 0;
    let v1 = information.rsdp_v1_tag();
    let mut broken = v1.is_some_and(|rsdp| !rsdp.checksum_is_valid());
    let mut rsdt =
        v1.filter(|rsdp| rsdp.checksum_is_valid()).map(|rsdp| rsdp.rsdt_address() as u32);
    let mut xsdt = None;
    if let Some(tag) = information.rsdp_v2_tag() {
        // SAFETY: the tag is 44 bytes long, its padding (to 48) left out. Its own checksum
        // function believes the length in the RSDP, which may be anything.
        let bytes: &[u8; 44] = unsafe { &*core::ptr::from_ref(tag).cast() };
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        // Behind the tag's header of 8 bytes: RSDT at 16, length at 20.
        if word(28) == 36 && sums_to_zero(&bytes[8..]) && sums_to_zero(&bytes[8..28]) {
            xsdt = Some(tag.xsdt_address() as u64);
            rsdt = rsdt.or(Some(word(24)));
        } else {
            broken = true;
        }
    }
    if broken {
        log::warn!("ACPI: the loader's copy of the RSDP is broken");
    }
    let xsdt = xsdt.filter(|&address| address != 0).map(RootTable::Xsdt);
    xsdt.or(rsdt.filter(|&address| address != 0).map(RootTable::Rsdt))
}

/// Reads the loader's information and starts the frame allocator with its memory map.
/// Call once, first thing, with the boot page tables in use.
///
/// # Errors
/// As [`BootError`] says.
pub fn start(loader: LoaderInformation) -> Result<BootData, BootError> {
    let address = PhysAddr::new(loader.address());
    let pointer = address.to_physmap().as_ptr::<BootInformationHeader>();
    // SAFETY: the loader's promise; the boot tables map the first 4 GiB there, and the
    // range is reserved below, so it stays.
    let information: BootInformation<'static> =
        unsafe { BootInformation::load(pointer) }.map_err(|_| BootError::BadInformation)?;

    let mut reserved: ArrayVec<(u64, u64), 60> = ArrayVec::new();
    let mut reserve =
        |start: u64, end: u64| reserved.try_push((start, end)).map_err(|_| BootError::OutOfMemory);
    let in_reach = |start: u64, end: u64| start > 0 && start < end && end <= BOOT_MAPPED_BYTES;
    reserve(loader.address(), loader.address() + information.total_size() as u64)?;

    let mut data = BootData {
        loader: information
            .boot_loader_name_tag()
            .and_then(|tag| tag.name().ok())
            .map(cut)
            .unwrap_or_default(),
        framebuffer: framebuffer(&information),
        ..BootData::default()
    };
    for tag in information.module_tags() {
        let (start, end) = (u64::from(tag.start_address()), u64::from(tag.end_address()));
        if !in_reach(start, end) {
            continue;
        }
        reserve(start, end)?;
        let memory = BootMemory { start, len: (end - start) as usize, is_taken: false };
        let name = cut(tag.cmdline().unwrap_or(""));
        if data.modules.try_push(Module { name, memory }).is_err() {
            log::warn!("more than {MAX_MODULES} modules; the rest is left alone");
        }
    }
    let image = image_layout().physical;
    for section in information.elf_sections_tag().into_iter().flat_map(|tag| tag.sections()) {
        let (start, end) =
            (section.start_address(), section.start_address().wrapping_add(section.size()));
        let allocated = section.is_allocated();
        let name = cut(section.name().unwrap_or("?"));
        if !allocated && in_reach(start, end) {
            reserve(start, end)?;
            if &name == SYMBOL_SECTION && !(image.0.as_u64()..image.1.as_u64()).contains(&start) {
                data.symbols =
                    Some(BootMemory { start, len: (end - start) as usize, is_taken: false });
            }
        }
        // Past the capacity there is no section worth a line of `boot-info`.
        let _ = data.sections.try_push(Section {
            name,
            address: start,
            size: section.size(),
            allocated,
        });
    }
    data.acpi = root_table(&information);

    let map = information.memory_map_tag().ok_or(BootError::NoMemoryMap)?;
    let regions = map.memory_areas().iter().map(|area| Region {
        start: area.start_address(),
        end: area.start_address().saturating_add(area.size()),
        kind: region_kind(area.typ().into()),
    });
    // SAFETY: the loader's map tells what is RAM; the loader's information, modules and
    // sections, which lie in it, are reserved, and `init` itself keeps the image out.
    unsafe { frames::init(regions, reserved.into_iter())? };

    // The information lives in reserved memory, seen through the physical map.
    let information: &'static BootInformation<'static> =
        alloc::boxed::Box::leak(alloc::boxed::Box::new(information));
    data.command_line = information.command_line_tag().and_then(|tag| {
        let line = tag.cmdline();
        line.inspect_err(|error| log::error!("the command line is ignored: {error}")).ok()
    });
    Ok(data)
}
