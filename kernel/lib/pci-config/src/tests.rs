//! Tests: spaces as devices have them, damaged ones, and any bytes.

use proptest::prelude::*;

use super::*;

/// A space of 4096 bytes with these double words.
fn space(words: &[(u16, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    for &(offset, word) in words {
        bytes[usize::from(offset)..][..4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The status register says that there is a list.
const HAS_LIST: (u16, u32) = (0x04, 0x0010_0000);

#[test]
fn a_list_is_followed_to_its_end() {
    let space = space(&[HAS_LIST, (0x34, 0x40), (0x40, 0x0000_5001), (0x50, 0x0000_0005)]);
    let found: Vec<_> = capabilities(&space[..]).collect();
    let (power, msi) = (Capability { id: 1, offset: 0x40 }, Capability { id: 5, offset: 0x50 });
    assert_eq!(found, [Ok(power), Ok(msi)]);
}

#[test]
fn a_list_that_is_not_announced_is_not_there() {
    assert_eq!(capabilities(&space(&[(0x34, 0x40), (0x40, 5)])[..]).count(), 0);
    assert_eq!(capabilities(&space(&[HAS_LIST])[..]).count(), 0);
}

#[test]
fn damaged_lists_end_with_an_error() {
    let ends = |words: &[(u16, u32)]| {
        let words = [&[HAS_LIST], words].concat();
        capabilities(&space(&words)[..]).last()
    };
    let to_itself = [(0x34, 0x40), (0x40, 0x4005)];
    assert_eq!(ends(&to_itself), Some(Err(ListError::Loop(0x40))));
    let in_a_ring = [(0x34, 0x40), (0x40, 0x8005), (0x80, 0x4211)];
    assert_eq!(ends(&in_a_ring), Some(Err(ListError::Loop(0x40))));
    let into_the_header = [(0x34, 0x40), (0x40, 0x2005)];
    assert_eq!(ends(&into_the_header), Some(Err(ListError::BadOffset(0x20))));
    let to_nothing = [(0x34, 0x40), (0x40, 0xf005), (0xf0, u32::MAX)];
    assert_eq!(ends(&to_nothing), Some(Err(ListError::Nothing(0xf0))));
    // The device is gone: everything is ones.
    assert_eq!(capabilities(&[0xff; 256][..]).last(), Some(Err(ListError::Nothing(0xfc))));
}

#[test]
fn extended_lists() {
    let good = space(&[(0x100, 0x1501_0001), (0x150, 0x0002_000d)]);
    let found: Vec<_> =
        extended_capabilities(&good[..]).map(|found| found.expect("good")).collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], ExtendedCapability { id: 0xd, version: 2, offset: 0x150 });
    assert_eq!(extended_capabilities(&good[..256]).count(), 0, "there is no room for any");
    assert_eq!(extended_capabilities(&space(&[])[..]).count(), 0);
    assert_eq!(extended_capabilities(&[0xff; 4096][..]).count(), 0);
    let ends = |words: &[(u16, u32)]| extended_capabilities(&space(words)[..]).last();
    let ring = [(0x100, 0x1101_0001), (0x110, 0x1001_0002)];
    assert_eq!(ends(&ring), Some(Err(ListError::Loop(0x100))));
    assert_eq!(ends(&[(0x100, 0x0401_0001)]), Some(Err(ListError::BadOffset(0x40))));
    assert_eq!(ends(&[(0x100, 0x2001_0001)]), Some(Err(ListError::Nothing(0x200))));
}

#[test]
fn who_a_function_is() {
    // QEMU's AHCI controller of q35, at 00:1f.2.
    let ahci = space(&[
        (0x00, 0x2922_8086),
        (0x04, 0x0010_0007),
        (0x08, 0x0106_0102),
        (0x0c, 0x0080_0000),
        (0x2c, 0x1100_1af4),
        (0x3c, 0x0000_010a),
    ]);
    let identity = Identity::read(&ahci[..]).expect("it is there");
    let expected = Identity {
        vendor: 0x8086,
        device: 0x2922,
        class: 0x01_0601,
        revision: 2,
        subsystem_vendor: 0x1af4,
        subsystem: 0x1100,
        layout: Layout::Normal,
        multifunction: true,
        pin: Some(1),
    };
    assert_eq!(identity, expected);
    assert_eq!(class_name(identity.class), "SATA controller (AHCI)");
    // A bridge has its subsystem ids in a capability, and no such registers.
    let bridge = space(&[
        (0x00, 0x000c_1b36),
        HAS_LIST,
        (0x0c, 0x0001_0000),
        (0x2c, 0xffff_ffff),
        (0x34, 0x40),
        (0x40, 0x000d),
        (0x44, 0x5678_1234),
    ]);
    let identity = Identity::read(&bridge[..]).expect("it is there");
    assert_eq!((identity.subsystem_vendor, identity.subsystem), (0x1234, 0x5678));
    assert_eq!((identity.layout, identity.pin), (Layout::Bridge, None));
    for nobody in [0, u32::MAX, 0x1234_ffff] {
        assert_eq!(Identity::read(&space(&[(0, nobody)])[..]), None);
    }
}

#[test]
fn classes_have_names() {
    for (class, name) in [
        (0x06_0400, "PCI bridge"),
        (0x0c_0330, "USB 3 controller (xHCI)"),
        (0x01_0802, "NVMe controller"),
        (0x01_08ff, "non-volatile memory controller"),
        (0x0c_0500, "SMBus controller"),
        (0x01_8000, "storage controller"),
        (0x00_ff00, "unclassified device"),
        (0xff_0000, "unassigned class"),
        (0x77_0000, "unknown class"),
    ] {
        assert_eq!(class_name(class), name, "{class:#x}");
    }
}

#[test]
fn base_address_registers() {
    let memory = |is_64_bits, prefetchable| BarKind::Memory { is_64_bits, prefetchable };
    for (low, kind) in [
        (0x0000_c001, Ok(BarKind::Io)),
        (0xfebf_0000, Ok(memory(false, false))),
        (0xfebf_0008, Ok(memory(false, true))),
        (0x0000_000c, Ok(memory(true, true))),
        (0x0000_0004, Ok(memory(true, false))),
        (0x0000_0006, Err(BarError::BadKind(6))),
    ] {
        assert_eq!(bar_kind(low), kind, "{low:#x}");
    }
    assert_eq!(bar_address(memory(true, true), 0x1000_000c, 8), 0x8_1000_0000);
    assert_eq!(bar_address(memory(false, true), 0x1000_0008, 8), 0x1000_0000);
    assert_eq!(bar_address(BarKind::Io, 0xc0c1, 0), 0xc0c0);
}

#[test]
fn sizes_of_ranges() {
    let (narrow, wide) = (
        BarKind::Memory { is_64_bits: false, prefetchable: false },
        BarKind::Memory { is_64_bits: true, prefetchable: true },
    );
    for (kind, low, high, size) in [
        (BarKind::Io, 0xffff_ffe1, 0, Ok(32)),
        (BarKind::Io, 0x0000_ffe1, 0, Ok(32)), // sixteen bits of address
        (BarKind::Io, 0x0000_0001, 0, Ok(0)),
        (narrow, 0xffff_f000, 0x1234, Ok(4096)),
        (narrow, 0x8000_0000, 0, Ok(1 << 31)),
        (narrow, 0, 0, Ok(0)),
        (wide, 0xffff_c00c, u32::MAX, Ok(16384)),
        (wide, 0x0000_000c, 0xffff_fff0, Ok(1 << 36)),
        (wide, 0x0000_000c, 0, Ok(0)),
        (narrow, 0xf00f_f000, 0, Err(BarError::BadSize(0xf00f_f000))),
        (wide, 0xffff_f00c, 0x7fff_ffff, Err(BarError::BadSize(0x7fff_ffff_ffff_f000))),
    ] {
        assert_eq!(bar_size(kind, low, high), size, "{kind:?} {low:#x} {high:#x}");
    }
}

#[test]
fn windows_of_bridges() {
    // As SeaBIOS leaves those of a root port.
    let open = space(&[
        (0x18, 0x0002_0100),
        (0x1c, 0x0000_d1c1),
        (0x20, 0xfe90_fe80),
        (0x24, 0x0001_0001),
        (0x28, 0x8),
        (0x2c, 0x8),
    ]);
    let numbers = BusNumbers::read(&open[..]);
    assert_eq!(numbers, BusNumbers { primary: 0, secondary: 1, subordinate: 2 });
    assert!(numbers.are_good(0, 255) && !numbers.are_good(1, 255) && !numbers.are_good(0, 1));
    let windows = Windows::read(&open[..]);
    assert_eq!(windows.io, Span::new(0xc000, 0xdfff));
    assert_eq!(windows.memory, Span::new(0xfe80_0000, 0xfe9f_ffff));
    assert_eq!(windows.prefetchable, Span::new(0x8_0000_0000, 0x8_000f_ffff));
    // Closed: the limit is below the base. Not there: zeros.
    let closed = space(&[(0x1c, 0x00f0), (0x20, 0x0000_fff0), (0x24, 0x0001_fff1)]);
    assert_eq!(Windows::read(&closed[..]), Windows::default());
    assert_eq!(Windows::read(&space(&[])[..]), Windows::default());
    let loops = BusNumbers { primary: 0, secondary: 3, subordinate: 2 };
    assert!(!loops.are_good(0, 255));
}

#[test]
fn capabilities_of_messages() {
    let space = space(&[
        (0x40, 0x0180_0005 | 0b0110 << 16), // 8 messages, 64 bits, maskable
        (0x60, 0x0002_0005),                // 2 messages, 32 bits
        (0x70, 0x000e_0005),                // 128 messages
        (0x80, 0x0003_0011),
        (0x84, 0x0000_2004),
        (0x88, 0x0000_3004),
        (0x90, 0x0003_0011),
        (0x94, 0x0000_0007),
    ]);
    let msi = Msi::read(&space[..], 0x40).expect("a good one");
    assert_eq!((msi.count, msi.is_64_bits, msi.maskable), (8, true, true));
    let places = (msi.control(), msi.address(), msi.address_high(), msi.data(), msi.mask());
    assert_eq!(places, (0x42, 0x44, Some(0x48), 0x4c, Some(0x50)));
    let msi = Msi::read(&space[..], 0x60).expect("a good one");
    assert_eq!((msi.count, msi.address_high(), msi.data(), msi.mask()), (2, None, 0x68, None));
    assert_eq!(Msi::read(&space[..], 0x70), None);
    assert_eq!(Msi::enabled(0x0184, 4), 0x01a5);
    let msi_x = MsiX::read(&space[..], 0x80).expect("a good one");
    let table = MsiXTable { bar: 4, offset: 0x2000 };
    assert_eq!((msi_x.count, msi_x.table, msi_x.table_bytes()), (4, table, 64));
    assert_eq!(MsiX::read(&space[..], 0x90), None);
}

#[test]
fn room_is_found_where_there_is_some() {
    let span = |first, last| Span::new(first, last).expect("not empty");
    let window = span(0x1000, 0x4fff);
    assert_eq!(window.find_room(0x1000, &[]), Some(span(0x1000, 0x1fff)));
    assert_eq!(window.find_room(0x2000, &[]), Some(span(0x2000, 0x3fff)));
    assert_eq!(window.find_room(0x4000, &[]), None, "not aligned");
    let taken = [span(0x3000, 0x30ff), span(0x1000, 0x17ff), span(0x1800, 0x2000)];
    assert_eq!(window.find_room(0x800, &taken), Some(span(0x2800, 0x2fff)));
    assert_eq!(window.find_room(0x1000, &taken), Some(span(0x4000, 0x4fff)));
    assert_eq!(window.find_room(3, &[]), None);
    let top = span(u64::MAX - 0xfff, u64::MAX);
    assert_eq!(top.find_room(0x1000, &[]), Some(top));
    assert_eq!(top.find_room(0x1000, &[span(u64::MAX, u64::MAX)]), None);
    assert_eq!((Span::with_size(5, 0), Span::with_size(u64::MAX, 2)), (None, None));
}

/// A span of a small space, so that many of them meet.
fn spans() -> impl Strategy<Value = Span> {
    (0u64..4096, 1u64..600)
        .prop_filter_map("not empty", |(first, size)| Span::with_size(first, size))
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..4097)) {
        let config = &bytes[..];
        prop_assert!(capabilities(config).count() <= 49);
        prop_assert!(extended_capabilities(config).count() <= 961);
        let _ = (Identity::read(config), BusNumbers::read(config), Windows::read(config));
        for found in capabilities(config).flatten() {
            let _ = (Msi::read(config, found.offset), MsiX::read(config, found.offset));
        }
    }

    #[test]
    fn any_register_has_a_size_or_is_an_error(low in any::<u32>(), high in any::<u32>()) {
        if let Ok(kind) = bar_kind(low)
            && let Ok(size) = bar_size(kind, low, high)
        {
            prop_assert!(size == 0 || size.is_power_of_two());
        }
    }

    #[test]
    fn sizes_are_found_again(shift in 4u32..40) {
        let size = 1u64 << shift;
        let bits = !(size - 1);
        let wide = BarKind::Memory { is_64_bits: true, prefetchable: false };
        prop_assert_eq!(bar_size(wide, bits as u32 | 4, (bits >> 32) as u32), Ok(size));
    }

    #[test]
    fn room_is_free_aligned_and_the_lowest(
        window in spans(),
        taken in proptest::collection::vec(spans(), 0..12),
        shift in 0u32..8,
    ) {
        let size = 1 << shift;
        let is_room = |first: u64| {
            Span::with_size(first, size)
                .is_some_and(|room| window.contains(room) && !taken.iter().any(|one| one.overlaps(room)))
        };
        let lowest = (0..8192).step_by(size as usize).find(|&first| is_room(first));
        prop_assert_eq!(window.find_room(size, &taken).map(Span::first), lowest);
    }
}
