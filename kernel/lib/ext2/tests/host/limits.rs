//! The ends of things: full disks, largest files, most links.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use ext2::{Attributes, Error, InodeFlags, LINK_MAX, NewKind, ROOT_INODE, Timestamp};

use crate::tools::{debugfs, make_image};
use crate::volume::{DIRECTORY, FILE, mount};

#[test]
fn a_full_disk_loses_nothing() {
    let mut volume = mount(make_image(1024, &["-b", "1024", "-m", "0"]));
    let usage = volume.fs.usage();
    let mut files = Vec::new();
    'full: loop {
        let name = format!("file {}", files.len());
        let Ok(file) = volume.create(ROOT_INODE, &name, &FILE) else { break };
        files.push((name, file, 0));
        let Some((_, _, size)) = files.last_mut() else { break };
        while *size < 30_000 {
            match volume.write(file, *size, &[file as u8; 1000]) {
                Ok(()) => *size += 1000,
                Err(Error::NoSpace) => break 'full,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(volume.fs.usage().free_blocks, 0);
    assert_eq!(volume.create(ROOT_INODE, "d", &DIRECTORY), Err(Error::NoSpace));
    for (_, file, size) in &files {
        assert_eq!(volume.read(*file).unwrap(), vec![*file as u8; *size as usize]);
    }
    let mut volume = mount(volume.check());
    for (name, file, size) in &files {
        assert_eq!(volume.read(*file).unwrap(), vec![*file as u8; *size as usize]);
        volume.remove(ROOT_INODE, name).unwrap();
    }
    assert_eq!(volume.fs.usage(), usage);
    // All of it can be taken again at once, but must be written back before.
    let file = volume.create(ROOT_INODE, "large", &FILE).unwrap();
    let indirect = 1 + 1 + usage.free_blocks / 256;
    volume.write(file, 0, &vec![1; ((usage.free_blocks - indirect) * 1024) as usize]).unwrap();
    assert!(volume.forced > 0);
    volume.check();
}

#[test]
fn reserved_blocks_are_for_the_privileged() {
    let mut volume = mount(make_image(1024, &["-b", "1024", "-m", "20"]));
    let usage = volume.fs.usage();
    assert!(usage.free_blocks - usage.available_blocks > 150);
    assert!(volume.fs.may_use_reserved(0, 5) && !volume.fs.may_use_reserved(1000, 1000));
    let file = volume.create(ROOT_INODE, "file", &FILE).unwrap();
    volume.privileged = false;
    let mut size = 0;
    while volume.write(file, size, &[1; 1024]).is_ok() {
        size += 1024;
    }
    assert_eq!(volume.fs.usage().available_blocks, 0);
    assert!(volume.fs.usage().free_blocks > 150);
    assert_eq!(volume.create(ROOT_INODE, "d", &DIRECTORY), Err(Error::NoSpace));
    volume.privileged = true;
    volume.create(ROOT_INODE, "d", &DIRECTORY).unwrap();
    volume.write(file, size, &[1; 50_000]).unwrap();
    volume.check();
}

#[test]
fn inodes_run_out_and_come_back() {
    let mut volume = mount(make_image(1024, &["-b", "1024", "-N", "32"]));
    let names: Vec<String> = (0..40).map(|number| format!("n{number}")).collect();
    let made = names.iter().take_while(|name| volume.create(ROOT_INODE, name, &FILE).is_ok());
    let made = made.count();
    assert_eq!(volume.create(ROOT_INODE, "one more", &FILE), Err(Error::NoInodes));
    assert_eq!(volume.fs.usage().free_inodes, 0);
    assert!(made > 15);
    volume.remove(ROOT_INODE, "n3").unwrap();
    assert_eq!(volume.forced, 0);
    volume.create(ROOT_INODE, "one more", &FILE).unwrap();
    assert!(volume.forced > 0, "an inode was used again before its name was off the disk");
    volume.check();
}

#[test]
fn the_largest_file_of_each_block_size() {
    for (size, options) in [
        ("1024", &["-b", "1024"][..]),
        ("2048", &["-b", "2048"]),
        ("4096", &["-b", "4096"]),
        ("1024", &["-b", "1024", "-r", "0"]),
    ] {
        let mut volume = mount(make_image(4096, options));
        let file = volume.create(ROOT_INODE, "file", &FILE).unwrap();
        let end = volume.fs.max_file_size();
        assert_eq!(volume.fs.extend(file, end + 1), Err(Error::FileTooLarge));
        let caller = volume.caller();
        assert_eq!(volume.fs.truncate(file, end + 1, &caller), Err(Error::FileTooLarge));
        let last = (end / size.parse::<u64>().unwrap()) as u32;
        assert_eq!(volume.fs.allocate(file, last, 1, &caller), Err(Error::FileTooLarge));
        assert_eq!(volume.fs.inode(file).unwrap().sectors, 0);
        volume.write(file, end - 5, b"12345").unwrap();
        // All four depths.
        for offset in [0, 20_000, 2_000_000, 900_000_000] {
            volume.write(file, offset, b"here").unwrap();
        }
        let mut volume = mount(volume.check());
        let text = debugfs(&volume.disk.borrow().now, "stats");
        assert!(String::from_utf8(text).unwrap().contains("large_file"));
        assert_eq!(volume.fs.inode(file).unwrap().size, end);
        volume.truncate(file, 5_000_000_000).unwrap();
        volume.truncate(file, 30_000).unwrap();
        assert_eq!(volume.read(file).unwrap()[20_000..20_004], *b"here");
        volume.truncate(file, 0).unwrap();
        assert_eq!(volume.fs.inode(file).unwrap().sectors, 0);
        volume.check();
    }
}

#[test]
fn large_file_is_set_when_it_is_needed() {
    let image = make_image(1024, &["-b", "1024", "-O", "none,filetype,sparse_super"]);
    let mut volume = mount(image);
    let file = volume.create(ROOT_INODE, "file", &FILE).unwrap();
    volume.fs.extend(file, (1 << 31) - 1).unwrap();
    let volume_with = |volume: crate::volume::Volume| {
        let image = volume.check();
        let has = String::from_utf8(debugfs(&image, "stats")).unwrap().contains("large_file");
        (mount(image), has)
    };
    let (mut volume, has) = volume_with(volume);
    assert!(!has);
    volume.fs.extend(file, 1 << 31).unwrap();
    let (_, has) = volume_with(volume);
    assert!(has);
}

#[test]
fn names_and_subdirectories_can_be_counted() {
    let mut volume = mount(make_image(160_000, &["-b", "4096", "-N", "36000"]));
    let file = volume.create(ROOT_INODE, "0", &FILE).unwrap();
    for number in 1..LINK_MAX {
        volume.link(file, ROOT_INODE, &number.to_string()).unwrap();
    }
    assert_eq!(volume.link(file, ROOT_INODE, "more"), Err(Error::TooManyLinks));
    assert_eq!(volume.fs.inode(file).unwrap().links, LINK_MAX);
    let top = volume.create(ROOT_INODE, "top", &DIRECTORY).unwrap();
    for number in 2..LINK_MAX {
        volume.create(top, &number.to_string(), &DIRECTORY).unwrap();
    }
    assert_eq!(volume.create(top, "more", &DIRECTORY), Err(Error::TooManyLinks));
    let other = volume.create(ROOT_INODE, "other", &DIRECTORY).unwrap();
    let moved = volume.rename((ROOT_INODE, "other"), (top, "more"), true);
    assert_eq!(moved, Err(Error::TooManyLinks));
    // In place of another it does not count.
    volume.rename((ROOT_INODE, "other"), (top, "5"), true).unwrap();
    assert_eq!(volume.fs.inode(top).unwrap().links, LINK_MAX);
    assert_eq!(volume.fs.parent(other), Ok(top));
    volume.check();
}

#[test]
fn a_cursor_stays_good() {
    let mut volume = mount(make_image(4096, &["-b", "1024"]));
    let stay: BTreeSet<String> = (0..200).map(|number| format!("stay {number}")).collect();
    for (number, name) in stay.iter().enumerate() {
        volume.create(ROOT_INODE, name, &FILE).unwrap();
        volume.create(ROOT_INODE, &format!("go {number}"), &FILE).unwrap();
    }
    let mut seen = Vec::new();
    let (mut cursor, mut round) = (0, 0);
    loop {
        let mut left = 7;
        let next = volume.fs.read_directory(ROOT_INODE, cursor, |entry| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            seen.push(String::from_utf8(entry.name.to_vec()).unwrap());
            ControlFlow::Continue(())
        });
        let next = next.unwrap();
        if next == cursor {
            break;
        }
        cursor = next;
        // Others come and go meanwhile.
        for number in 0..4 {
            let _ = volume.remove(ROOT_INODE, &format!("go {}", (round * 4 + number) % 200));
        }
        volume
            .create(ROOT_INODE, &format!("new {round}{}", "x".repeat(round % 90)), &FILE)
            .unwrap();
        round += 1;
    }
    let seen_once: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(seen_once.len(), seen.len(), "a name was told twice");
    assert!(stay.is_subset(&seen_once));
    volume.check();
}

#[test]
fn times_are_kept_as_well_as_the_inode_can() {
    let exact = Timestamp { seconds: 5_000_000_000, nanoseconds: 123_456_789 };
    let attributes = Attributes {
        permissions: Some(0o7777),
        uid: Some(70_000),
        gid: Some(80_000),
        accessed: Some(exact),
        modified: Some(exact),
        changed: Some(exact),
        flags: Some(InodeFlags::NODUMP | InodeFlags::EXTENTS),
    };
    for (size, kept) in [("128", Timestamp::from_seconds(i32::MAX.into())), ("256", exact)] {
        let mut volume = mount(make_image(1024, &["-b", "1024", "-I", size]));
        let file = volume.create(ROOT_INODE, "file", &FILE).unwrap();
        let born = volume.fs.inode(file).unwrap().born;
        assert_eq!(born.is_some(), size == "256");
        volume.fs.set_attributes(file, &attributes).unwrap();
        let volume = mount(volume.check());
        let inode = volume.fs.inode(file).unwrap();
        assert_eq!((inode.accessed, inode.modified, inode.changed), (kept, kept, kept));
        assert_eq!((inode.mode, inode.uid, inode.gid), (0o107777, 70_000, 80_000));
        assert_eq!((inode.flags, inode.born), (InodeFlags::NODUMP, born));
        assert_eq!(volume.fs.time_step() == 1, size == "256");
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    let mut volume = mount(make_image(1024, &["-b", "1024"]));
    let long = "n".repeat(255);
    volume.create(ROOT_INODE, &long, &FILE).unwrap();
    let longer = "n".repeat(256);
    assert_eq!(volume.create(ROOT_INODE, &longer, &FILE), Err(Error::NameTooLong));
    assert_eq!(volume.fs.lookup(ROOT_INODE, longer.as_bytes()), Err(Error::NameTooLong));
    for name in ["", ".", "..", "a/b", "a\0b"] {
        assert_eq!(volume.create(ROOT_INODE, name, &FILE), Err(Error::Invalid));
    }
    let file = volume.create(ROOT_INODE, "file", &FILE).unwrap();
    assert_eq!(volume.create(file, "in it", &FILE), Err(Error::NotDirectory));
    assert_eq!(volume.fs.lookup(file, b"in it"), Err(Error::NotDirectory));
    let target = vec![b'x'; 1024];
    for (target, error) in [(&target[..], Error::TargetTooLong), (b"", Error::Invalid)] {
        let new = ext2::NewInode { kind: NewKind::Symlink(target), ..FILE };
        assert_eq!(volume.create(ROOT_INODE, "link", &new), Err(error));
    }
    let new = ext2::NewInode { kind: NewKind::Symlink(&target[..1023]), ..FILE };
    volume.create(ROOT_INODE, "link", &new).unwrap();
    volume.check();
}

#[test]
fn a_file_without_a_name_can_get_one() {
    let mut volume = mount(make_image(1024, &[]));
    let usage = volume.fs.usage();
    let make = |volume: &mut crate::volume::Volume| {
        let file = volume.retry(|fs, caller| fs.create_unnamed(ROOT_INODE, &FILE, caller)).unwrap();
        volume.write(file, 0, &[5; 20_000]).unwrap();
        file
    };
    let (one, two) = (make(&mut volume), make(&mut volume));
    assert_eq!(volume.fs.inode(one).unwrap().links, 0);
    volume.sync();
    volume.link(one, ROOT_INODE, "name").unwrap();
    volume.release(two).unwrap();
    assert_eq!(
        volume.link(two, ROOT_INODE, "late").map_err(|error| error.errno()),
        Err(abi::Errno::EUCLEAN)
    );
    let mut volume = mount(volume.check());
    assert_eq!(volume.read(one).unwrap(), [5; 20_000]);
    volume.remove(ROOT_INODE, "name").unwrap();
    assert_eq!(
        volume.link(one, ROOT_INODE, "late").map_err(|error| error.errno()),
        Err(abi::Errno::EUCLEAN)
    );
    assert_eq!(volume.fs.usage(), usage);
    volume.check();
}

#[test]
fn files_that_grow_by_turns_lie_in_few_pieces() {
    let mut volume = mount(make_image(64_000, &["-b", "4096"]));
    let files: Vec<u32> =
        (0..4).map(|n| volume.create(ROOT_INODE, &n.to_string(), &FILE).unwrap()).collect();
    for page in 0..2000u64 {
        for file in &files {
            volume.write(*file, page * 4096, &[1; 4096]).unwrap();
        }
    }
    for file in &files {
        let mut runs = 0;
        volume.fs.map(*file, 0..2000, |_| runs += 1).unwrap();
        assert!(runs < 30, "{runs} pieces");
    }
    let free = volume.fs.usage().free_blocks;
    files.iter().for_each(|file| volume.fs.trim(*file));
    assert_eq!(volume.fs.usage().free_blocks, free);
    volume.check();
}

#[test]
fn mapping_looks_at_each_indirect_block_once() {
    let mut volume = mount(make_image(64_000, &["-b", "1024"]));
    let file = volume.create(ROOT_INODE, "file", &FILE).unwrap();
    volume.write(file, 0, &vec![1; 50_000_000]).unwrap();
    let blocks = volume.fs.inode(file).unwrap().size.div_ceil(1024) as u32;
    *volume.fs.storage().reads.borrow_mut() = 0;
    let mut runs = 0;
    volume.fs.map(file, 0..blocks, |_| runs += 1).unwrap();
    let reads = *volume.fs.storage().reads.borrow();
    // 191 indirect blocks of level 1, each reached from the one of level 2.
    assert!(reads < 400, "{reads} reads");
    assert!(runs < 300, "{runs} runs");
    volume.check();
}

#[test]
fn ten_thousand_names_are_found_fast() {
    let mut volume = mount(make_image(64_000, &["-b", "4096", "-N", "11000"]));
    let directory = volume.create(ROOT_INODE, "directory", &DIRECTORY).unwrap();
    *volume.fs.storage().reads.borrow_mut() = 0;
    for number in 0..10_000 {
        volume.create(directory, &format!("file {number}"), &FILE).unwrap();
    }
    for number in (0..10_000).rev() {
        let name = format!("file {number}");
        assert!(volume.fs.lookup(directory, name.as_bytes()).unwrap().is_some());
        volume.remove(directory, &name).unwrap();
    }
    let reads = *volume.fs.storage().reads.borrow();
    assert!(reads < 40 * 10_000, "{reads} looks at blocks");
    assert!(volume.list(directory).unwrap().is_empty());
    volume.check();
}
