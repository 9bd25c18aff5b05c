//! What the superblock decides.

use ext2::{
    Corrupt, Damage, Error, Ext2, FileKind, Incompat, MountOptions, OnDamage, Place, ROOT_INODE,
    ReadOnly, RoCompat, Scope, Timestamp, probe,
};

use crate::disk::{Disk, Store};
use crate::tools::{Scratch, assert_clean, make_image, run};
use crate::volume::{DIRECTORY, FILE, mount, try_mount};

/// Sets a little-endian number of the superblock.
fn set(image: &mut [u8], offset: usize, value: u32) {
    image[1024 + offset..1024 + offset + 4].copy_from_slice(&value.to_le_bytes());
}

/// A little-endian number of 16 bits of the superblock.
fn short(image: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([image[1024 + offset], image[1024 + offset + 1]])
}

const STATE: usize = 0x3a;
const MOUNTS: usize = 0x34;

fn corrupt(place: Place, damage: Damage) -> Error {
    Error::Corrupt(Corrupt { place, damage })
}

fn error(image: Vec<u8>) -> Error {
    try_mount(image, true).err().unwrap()
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    for (options, names) in [
        (&["-t", "ext4", "-O", "extent,64bit"][..], "extent, 64bit"),
        (&["-O", "meta_bg,^resize_inode"], "meta_bg"),
        (&["-O", "flex_bg"], "flex_bg"),
        (&["-O", "inline_data"], "inline_data"),
    ] {
        match error(make_image(8192, options)) {
            Error::Unsupported(features) => assert_eq!(features.to_string(), names),
            other => panic!("{other}"),
        }
    }
    let mut image = make_image(1024, &[]);
    set(&mut image, 0x60, 0x4000_0002);
    assert_eq!(error(image), Error::Unsupported(Incompat::from_bits_retain(0x4000_0000)));
    let image = make_image(4096, &["-t", "ext4", "-b", "1024", "-O", "bigalloc,extent,^64bit"]);
    assert!(matches!(error(image), Error::UnsupportedBlockSize { .. }));
}

#[test]
fn what_must_be_known_to_write_makes_it_read_only() {
    let mut image = make_image(1024, &[]);
    set(&mut image, 0x64, 0x8000_0003);
    let unknown = RoCompat::from_bits_retain(0x8000_0000);
    let mut volume = try_mount(image, false).unwrap();
    assert_eq!(volume.fs.read_only(), Some(ReadOnly::Features(unknown)));
    assert_eq!(volume.create(ROOT_INODE, "a", &FILE), Err(Error::ReadOnly));
    assert_eq!(volume.list(ROOT_INODE).unwrap().len(), 1);
    assert_eq!(volume.fs.remount(false), Err(Error::ReadOnly));
}

#[test]
fn a_superblock_that_cannot_be_is_refused() {
    let good = make_image(2048, &["-b", "1024"]);
    let bad = |offset, value| {
        let mut image = good.clone();
        set(&mut image, offset, value);
        error(image)
    };
    assert_eq!(bad(0x38, 0), corrupt(Place::Superblock, Damage::BadMagic));
    assert_eq!(bad(0x4c, 7), Error::UnsupportedRevision(7));
    assert_eq!(bad(0x18, 9), Error::UnsupportedBlockSize { bytes: 1024 << 9 });
    assert_eq!(bad(0x18, 77), Error::UnsupportedBlockSize { bytes: 0 });
    for (offset, value) in [
        (0x00, 77),
        (0x04, 0),
        (0x04, 1 << 30),
        (0x14, 0),
        (0x20, 0),
        (0x20, 4),
        (0x20, 100_000),
        (0x28, 0),
        (0x28, u32::MAX),
        (0x54, 1),
        (0x54, u32::MAX),
        (0x58, 0),
        (0x58, 100),
        (0x58, 64),
        (0x08, u32::MAX),
        (0x0c, u32::MAX),
        (0x10, u32::MAX),
    ] {
        let error = bad(offset, value);
        let geometry =
            matches!(error, Error::Corrupt(Corrupt { damage: Damage::BadGeometry(_), .. }));
        assert!(geometry, "{offset:#x} {value}: {error}");
    }
    let mut small = good.clone();
    small.truncate(1024 * 1024);
    assert_eq!(error(small), corrupt(Place::Superblock, Damage::LargerThanDevice));
}

#[test]
fn descriptors_that_cannot_be_are_refused() {
    let good = make_image(2048, &["-b", "1024"]);
    for (offset, value) in [(0, 0), (4, 1), (8, 5000), (8, 2040), (0, 3), (4, u32::MAX)] {
        let mut image = good.clone();
        image[2048 + offset..2048 + offset + 4].copy_from_slice(&u32::to_le_bytes(value));
        assert_eq!(error(image), corrupt(Place::Group(0), Damage::MisplacedMetadata));
    }
    let mut image = good;
    image[2048 + 12..2048 + 14].fill(0xff);
    assert_eq!(error(image), corrupt(Place::Group(0), Damage::WrongCount));
}

#[test]
fn a_mount_that_changes_nothing_writes_nothing() {
    let image = make_image(1024, &[]);
    let volume = mount(image.clone());
    assert_eq!(volume.list(ROOT_INODE).unwrap().len(), 1);
    assert!(volume.unmount() == image);
}

#[test]
fn the_disk_knows_whether_it_is_in_use() {
    let image = make_image(1024, &["-b", "1024"]);
    assert_eq!((short(&image, STATE), short(&image, MOUNTS)), (1, 0));
    let mut volume = mount(image);
    volume.create(ROOT_INODE, "a", &DIRECTORY).unwrap();
    volume.begin(Scope::All);
    volume.step();
    // The superblock alone, before anything else.
    let now = volume.disk.borrow().now.clone();
    assert_eq!((short(&now, STATE), short(&now, MOUNTS)), (0, 1));
    assert_eq!(now[2048..], make_image(1024, &["-b", "1024"])[2048..]);
    volume.land();
    volume.sync();
    let now = volume.disk.borrow().now.clone();
    let mut unclean = try_mount(now.clone(), false).unwrap();
    assert_eq!(unclean.fs.read_only(), Some(ReadOnly::Unclean));
    assert_eq!(unclean.create(ROOT_INODE, "b", &FILE), Err(Error::ReadOnly));
    // Whoever insists can write, and it stays unclean.
    let disk = Disk::new(now, 1024);
    let options = MountOptions {
        read_only: false,
        write_unclean: true,
        now: Timestamp::from_seconds(1_800_000_000),
    };
    let mut fs = Ext2::mount(Store::new(&disk), &options).unwrap();
    assert_eq!(fs.read_only(), None);
    fs.mark_clean().unwrap();
    assert!(fs.is_settled());
    let image = volume.check();
    assert_eq!((short(&image, STATE), short(&image, MOUNTS)), (1, 1));
    let mut volume = mount(image);
    volume.create(ROOT_INODE, "b", &FILE).unwrap();
    let image = volume.check();
    assert_eq!((short(&image, STATE), short(&image, MOUNTS)), (1, 2));
}

#[test]
fn fsync_marks_it_as_in_use_too() {
    let mut volume = mount(make_image(1024, &[]));
    let file = volume.create(ROOT_INODE, "a", &FILE).unwrap();
    volume.begin(Scope::Inode(file));
    volume.step();
    assert_eq!(short(&volume.disk.borrow().now, STATE), 0);
    volume.land();
}

#[test]
fn damage_is_recorded_and_does_what_the_superblock_wants() {
    let corrupt = Corrupt { place: Place::Inode(12), damage: Damage::BadInode };
    for (errors, wanted) in [
        ("continue", OnDamage::Continue),
        ("remount-ro", OnDamage::ReadOnly),
        ("panic", OnDamage::Panic),
    ] {
        let mut volume = mount(make_image(1024, &["-e", errors]));
        volume.create(ROOT_INODE, "a", &FILE).unwrap();
        assert_eq!(volume.fs.report(corrupt), wanted);
        let read_only = (wanted == OnDamage::ReadOnly).then_some(ReadOnly::Damaged);
        assert_eq!(volume.fs.read_only(), read_only);
        // What was done before is still written.
        volume.sync();
        let image = volume.unmount();
        assert_eq!(short(&image, STATE) & 3, 2);
        let volume = try_mount(image, false).unwrap();
        assert_eq!(volume.fs.read_only(), Some(ReadOnly::Unclean));
        assert_eq!(volume.list(ROOT_INODE).unwrap().len(), 2);
    }
}

#[test]
fn it_becomes_read_only_and_writable_again() {
    let mut volume = mount(make_image(1024, &[]));
    volume.create(ROOT_INODE, "a", &FILE).unwrap();
    assert_eq!(volume.fs.remount(true), Err(Error::WriteBackFirst));
    volume.sync();
    volume.fs.mark_clean().unwrap();
    volume.sync();
    volume.fs.remount(true).unwrap();
    assert_clean(&volume.disk.borrow().now);
    assert_eq!(volume.create(ROOT_INODE, "b", &FILE), Err(Error::ReadOnly));
    volume.fs.remount(false).unwrap();
    volume.create(ROOT_INODE, "b", &FILE).unwrap();
    volume.check();
}

#[test]
fn a_superblock_is_probed() {
    let image = make_image(
        2048,
        &["-b", "2048", "-L", "label", "-U", "01020304-0506-0708-090a-0b0c0d0e0f10"],
    );
    let found = probe(image[1024..2048].try_into().unwrap()).unwrap();
    assert_eq!((found.block_size, found.blocks), (2048, 1024));
    assert_eq!(found.uuid[..3], [1, 2, 3]);
    assert!(found.label.starts_with(b"label\0"));
    assert!(probe(&[0; 1024]).is_err());
}

#[test]
fn images_of_few_blocks() {
    for kibibytes in [60, 64, 100, 129] {
        let mut volume = mount(make_image(kibibytes, &["-b", "1024", "-m", "0"]));
        let file = volume.create(ROOT_INODE, "a", &FILE).unwrap();
        assert_eq!(volume.fs.inode(file).unwrap().kind, FileKind::Regular);
        let mut offset = 0;
        while volume.write(file, offset, &[7; 1000]).is_ok() {
            offset += 1000;
        }
        assert!(offset > 10_000);
        volume.check();
    }
}

#[test]
fn what_resize2fs_made_is_understood() {
    let scratch = Scratch::new();
    let path = scratch.path("image");
    let mut volume = mount(make_image(4096, &["-b", "1024"]));
    let file = volume.create(ROOT_INODE, "a", &FILE).unwrap();
    volume.write(file, 0, &[7; 100_000]).unwrap();
    let mut image = volume.check();
    image.resize(40 << 20, 0);
    std::fs::write(&path, &image).unwrap();
    let said = run("resize2fs", &["-f", path.to_str().unwrap()]);
    assert_eq!(said.status, 0, "{}", said.output);
    let mut volume = mount(std::fs::read(&path).unwrap());
    assert_eq!(volume.read(file).unwrap(), [7; 100_000]);
    volume.write(file, 0, &[8; 20_000_000]).unwrap();
    volume.check();
}
