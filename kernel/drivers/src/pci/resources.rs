//! Where the ranges of base address registers may be, and where they are.
//!
//! The firmware has given nearly all of them a place. One that lies in RAM, meets another one,
//! or is not what the bridges on the way to the function let through is refused when a driver
//! wants it. One without a place gets the lowest free one in the windows of the bridge that
//! its function is behind, or of the root bus where the firmware says what those are.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use aml::resource::{Range, RangeKind};
use base::sync::SpinLock;
use memory::frames::{RegionKind, regions};
use pci_config::{BarKind, Span};

use super::Address;
use super::bar::{self, BarInfo};
use super::function::Inner;

/// Why a range is not where it can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// It lies in RAM.
    Ram(Span),
    /// It meets a range of another function, or another one of this.
    Meets(Span, Address),
    /// A bridge on the way does not let it through.
    Outside(Span, Address),
    /// It lies in none of the windows of its root bus.
    OutsideRoot(Span),
    /// It has no place, and no window is known in which there could be one.
    NoWindow,
    /// It has no place, and the windows have no room for it.
    NoRoom,
    /// It has no place, and does not keep one.
    DoesNotStay,
    /// No memory to remember it.
    OutOfMemory,
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ram(span) => write!(f, "{span} is RAM"),
            Self::Meets(span, other) => write!(f, "{span} meets a range of {other}"),
            Self::Outside(span, bridge) => {
                write!(f, "the bridge {bridge} does not let {span} through")
            }
            Self::OutsideRoot(span) => write!(f, "{span} is not in a window of its root bus"),
            Self::NoWindow => f.write_str(
                "the firmware has given it no place, and does not say where there is one",
            ),
            Self::NoRoom => {
                f.write_str("the firmware has given it no place, and its bridge has no room left")
            }
            Self::DoesNotStay => {
                f.write_str("the firmware has given it no place, and it keeps none")
            }
            Self::OutOfMemory => f.write_str("no memory to remember its place"),
        }
    }
}

/// What a host bridge lets through to its root bus.
#[derive(Clone, Debug, Default)]
pub struct RootWindows {
    /// I/O ports.
    pub io: Vec<Span>,
    /// Memory.
    pub memory: Vec<Span>,
    /// Numbers of buses.
    pub buses: Vec<Span>,
}

impl RootWindows {
    /// What the firmware says.
    pub(super) fn new(ranges: &[Range]) -> Self {
        let of = |kind| {
            let spans = ranges.iter().filter(move |range| range.kind == kind);
            spans.filter_map(|range| Span::new(range.first, range.last)).collect()
        };
        let (io, memory) = (of(RangeKind::Io), of(RangeKind::Memory));
        Self { io, memory, buses: of(RangeKind::Buses) }
    }

    /// The highest number of the buses behind the root bus `bus`, if that is said.
    pub(super) fn last_bus(&self, bus: u8) -> Option<u8> {
        let bus = Span::new(bus.into(), bus.into())?;
        let buses = self.buses.iter().find(|buses| buses.contains(bus))?;
        u8::try_from(buses.last()).ok()
    }
}

/// The functions that were found, each with what the root of its bus lets through; `None`:
/// that is not known.
struct Known {
    function: Arc<Inner>,
    root: Option<Arc<RootWindows>>,
}

static KNOWN: SpinLock<Vec<Known>> = SpinLock::new("PCI ranges", Vec::new());

/// Makes a function known: its ranges are taken.
///
/// # Errors
/// `OutOfMemory`.
pub(super) fn add(
    function: &Arc<Inner>,
    root: Option<&Arc<RootWindows>>,
) -> Result<(), PlaceError> {
    let mut known = KNOWN.lock();
    known.try_reserve(1).map_err(|_| PlaceError::OutOfMemory)?;
    known.push(Known { function: function.clone(), root: root.cloned() });
    Ok(())
}

/// The ranges of a function, ports if `io`, with the numbers of their registers.
fn ranges(function: &Inner, io: bool) -> impl Iterator<Item = (usize, Span)> {
    function.bars.iter().enumerate().filter_map(move |(index, bar)| match *bar.lock() {
        BarInfo::Present { kind, span: Some(span), .. } if (kind == BarKind::Io) == io => {
            Some((index, span))
        }
        _ => None,
    })
}

/// RAM that has an address in `span`.
fn is_ram(span: Span) -> bool {
    let mut found = false;
    regions(|region| {
        let is_ram = region.kind != RegionKind::Reserved;
        let ram = Span::new(region.start, region.end.saturating_sub(1));
        found |= is_ram && ram.is_some_and(|ram| ram.overlaps(span));
    });
    found
}

/// The bridges on the way to a function, from the nearest on, as long as they let through
/// nothing but their windows.
fn bridges(function: &Inner) -> impl Iterator<Item = &Arc<Inner>> {
    core::iter::successors(function.parent.as_ref(), |bridge| bridge.parent.as_ref())
}

/// Whether the range of a function may be used where it is.
///
/// # Errors
/// As [`PlaceError`] says.
pub(super) fn check(function: &Inner, kind: BarKind, span: Span) -> Result<(), PlaceError> {
    let io = kind == BarKind::Io;
    if !io && is_ram(span) {
        return Err(PlaceError::Ram(span));
    }
    for bridge in bridges(function) {
        match &bridge.bridge {
            Some(windows) if windows.subtractive || windows.lets_through(span, io) => {}
            _ => return Err(PlaceError::Outside(span, bridge.address)),
        }
    }
    let known = KNOWN.lock();
    let mut root = None;
    for other in known.iter() {
        let is_this = other.function.address == function.address;
        if is_this {
            root = other.root.clone();
        }
        let mut met = ranges(&other.function, io).filter(|(_, range)| range.overlaps(span));
        // Its own range is met once.
        if met.nth(usize::from(is_this)).is_some() {
            return Err(PlaceError::Meets(span, other.function.address));
        }
    }
    match root {
        Some(root) => {
            let windows = if io { &root.io } else { &root.memory };
            let lets_through = windows.iter().any(|window| window.contains(span));
            if lets_through { Ok(()) } else { Err(PlaceError::OutsideRoot(span)) }
        }
        None => Ok(()),
    }
}

/// The windows in which a range of `function` may get a place, the best first.
fn windows(function: &Inner, kind: BarKind, root: Option<&RootWindows>) -> Vec<Span> {
    let io = kind == BarKind::Io;
    let is_below = |window: &Span| kind.is_64_bits() || io || window.last() >> 32 == 0;
    let of_bridge = bridges(function).find_map(|bridge| {
        let windows = &bridge.bridge.as_ref()?.windows;
        let prefetchable = match kind {
            BarKind::Memory { prefetchable: true, .. } => windows.prefetchable,
            _ => None,
        };
        let found = if io { [windows.io, None] } else { [prefetchable, windows.memory] };
        // One that lets through what nobody else takes may have no windows of its own.
        let is_last = !bridge.bridge.as_ref()?.subtractive || found != [None, None];
        is_last.then(|| found.into_iter().flatten().collect::<Vec<_>>())
    });
    let all = of_bridge.unwrap_or_else(|| {
        root.map_or(Vec::new(), |root| if io { root.io.clone() } else { root.memory.clone() })
    });
    all.into_iter().filter(is_below).collect()
}

/// Gives a range without a place one.
///
/// # Errors
/// As [`PlaceError`] says.
pub(super) fn assign(
    function: &Inner,
    index: usize,
    kind: BarKind,
    size: u64,
) -> Result<Span, PlaceError> {
    let io = kind == BarKind::Io;
    // Held to the end: nobody else gets the same place.
    let known = KNOWN.lock();
    let this = known.iter().find(|known| known.function.address == function.address);
    let root = this.and_then(|this| this.root.as_deref());
    let windows = windows(function, kind, root);
    if windows.is_empty() {
        return Err(PlaceError::NoWindow);
    }
    let mut taken = Vec::new();
    for other in known.iter().map(|known| &known.function) {
        for (_, span) in ranges(other, io) {
            taken.try_reserve(1).map_err(|_| PlaceError::OutOfMemory)?;
            taken.push(span);
        }
        // What is behind another bridge is that bridge's.
        let is_on_the_way = bridges(function).any(|bridge| bridge.address == other.address);
        if let Some(bridge) = other.bridge.as_ref().filter(|_| !is_on_the_way) {
            let theirs = &bridge.windows;
            let theirs = if io { [theirs.io, None] } else { [theirs.memory, theirs.prefetchable] };
            taken.try_reserve(2).map_err(|_| PlaceError::OutOfMemory)?;
            taken.extend(theirs.into_iter().flatten());
        }
    }
    if !io {
        let mut all = true;
        let mut add = |span: Option<Span>| {
            let has_room = taken.try_reserve(1).is_ok();
            all &= has_room;
            taken.extend(span.filter(|_| has_room));
        };
        regions(|region| add(Span::new(region.start, region.end.saturating_sub(1))));
        for region in &crate::acpi::platform().pci {
            let buses = u64::from(region.last_bus) + 1;
            add(Span::with_size(region.address, buses << 20));
        }
        if !all {
            return Err(PlaceError::OutOfMemory);
        }
    }
    let room = windows.iter().find_map(|window| window.find_room(size, &taken));
    let room = room.ok_or(PlaceError::NoRoom)?;
    if !bar::move_to(&function.config, index, kind, room) {
        return Err(PlaceError::DoesNotStay);
    }
    if let BarInfo::Present { span, .. } = &mut *function.bars[index].lock() {
        *span = Some(room);
    }
    log::info!("pci {}: base address register {index} gets {room}", function.address);
    Ok(room)
}
