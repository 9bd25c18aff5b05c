//! What a partition is for: [`Kind`], with names for the common ones.

use core::fmt;

use uguid::{Guid, guid};

/// The type of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// That of a master boot record: a byte.
    Mbr(u8),
    /// That of a GPT.
    Gpt(Guid),
}

/// Types of master boot records, as `sfdisk` names them.
const BYTES: &[(u8, &str)] = &[
    (0x01, "FAT12"),
    (0x04, "FAT16 <32M"),
    (0x06, "FAT16"),
    (0x07, "HPFS/NTFS/exFAT"),
    (0x0b, "W95 FAT32"),
    (0x0c, "W95 FAT32 (LBA)"),
    (0x0e, "W95 FAT16 (LBA)"),
    (0x11, "Hidden FAT12"),
    (0x27, "Hidden NTFS WinRE"),
    (0x39, "Plan 9"),
    (0x82, "Linux swap"),
    (0x83, "Linux"),
    (0x8e, "Linux LVM"),
    (0xa5, "FreeBSD"),
    (0xa6, "OpenBSD"),
    (0xa8, "Darwin UFS"),
    (0xa9, "NetBSD"),
    (0xaf, "HFS / HFS+"),
    (0xda, "Non-FS data"),
    (0xef, "EFI system"),
    (0xfd, "Linux RAID"),
];

/// Types of GPTs (UEFI 2.10, table 5.7; the Discoverable Partitions Specification; Microsoft).
const GUIDS: &[(Guid, &str)] = &[
    (guid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), "EFI system"),
    (guid!("21686148-6449-6e6f-744e-656564454649"), "BIOS boot"),
    (guid!("0fc63daf-8483-4772-8e79-3d69d8477de4"), "Linux"),
    (guid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"), "Linux root (x86-64)"),
    (guid!("933ac7e1-2eb4-4f13-b844-0e14e2aef915"), "Linux home"),
    (guid!("bc13c2ff-59e6-4262-a352-b275fd6f7172"), "Linux extended boot"),
    (guid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"), "Linux swap"),
    (guid!("e6d6d379-f507-44c2-a23c-238f2a3df928"), "Linux LVM"),
    (guid!("a19d880f-05fc-4d3b-a006-743f0f84911e"), "Linux RAID"),
    (guid!("ca7d7ccb-63ed-4c53-861c-1742536059cc"), "Linux LUKS"),
    (guid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"), "Microsoft basic data"),
    (guid!("e3c9e316-0b5c-4db8-817d-f92df00215ae"), "Microsoft reserved"),
    (guid!("de94bba4-06d1-4d40-a16a-bfd50179d6ac"), "Windows recovery"),
    (guid!("48465300-0000-11aa-aa11-00306543ecac"), "Apple HFS/HFS+"),
    (guid!("7c3457ef-0000-11aa-aa11-00306543ecac"), "Apple APFS"),
    (guid!("516e7cb4-6ecf-11d6-8ff8-00022d09712b"), "FreeBSD data"),
];

impl Kind {
    /// What it is called; `None` for one that is not common.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Mbr(byte) => BYTES.iter().find(|(of, _)| *of == byte).map(|(_, name)| *name),
            Self::Gpt(guid) => GUIDS.iter().find(|(of, _)| *of == guid).map(|(_, name)| *name),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.pad(name),
            (None, Self::Mbr(byte)) => write!(f, "type {byte:#04x}"),
            (None, Self::Gpt(guid)) => guid.fmt(f),
        }
    }
}
