//! Images with contents that mke2fs made, and images that the engine wrote, compared file by
//! file with what others see in them.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use ext2::{FileKind, InodeFlags, ROOT_INODE};

use crate::dice::Dice;
use crate::model::{Mix, Pair};
use crate::tools::{Scratch, assert_clean, debugfs, e2fsck, make_image, run};
use crate::volume::{FILE, Volume, mount, try_mount};

/// Makes a tree of files of many kinds.
fn plant(at: &Path) {
    let mut dice = Dice::new(77);
    std::fs::create_dir(at).unwrap();
    for (number, size) in
        [0, 1, 1023, 1024, 1025, 4096, 12 * 1024, 12 * 1024 + 1, 50_000, 300_000, 700_000]
            .iter()
            .enumerate()
    {
        let bytes: Vec<u8> = (0..*size).map(|_| dice.next() as u8).collect();
        std::fs::write(at.join(format!("file{number}")), bytes).unwrap();
    }
    std::fs::set_permissions(at.join("file3"), std::fs::Permissions::from_mode(0o4711)).unwrap();
    std::fs::hard_link(at.join("file4"), at.join("link to file4")).unwrap();
    symlink("file1", at.join("short link")).unwrap();
    symlink("x".repeat(59), at.join("link of 59")).unwrap();
    symlink("x".repeat(60), at.join("link of 60")).unwrap();
    symlink("../".repeat(200), at.join("long link")).unwrap();
    let mut sparse = std::fs::File::create(at.join("sparse")).unwrap();
    for offset in [0, 100_000, 400_000, 80_000_000u64] {
        use std::io::{Seek, SeekFrom, Write};
        sparse.seek(SeekFrom::Start(offset)).unwrap();
        sparse.write_all(b"here").unwrap();
    }
    std::fs::create_dir_all(at.join("a/b/c/d")).unwrap();
    std::fs::write(at.join("a/b/c/d/deep"), "deep").unwrap();
    std::fs::create_dir(at.join("many")).unwrap();
    for number in 0..300 {
        let name = format!("{number}{}", "-".repeat(number % 200));
        std::fs::write(at.join("many").join(name), number.to_string()).unwrap();
    }
}

/// Compares a directory with one of the machine that runs this.
fn compare(volume: &Volume, inode: u32, path: &Path) {
    let mut there: BTreeMap<Vec<u8>, std::path::PathBuf> = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        there.insert(entry.file_name().into_encoded_bytes(), entry.path());
    }
    let mut here = volume.list(inode).unwrap();
    here.remove(&b"lost+found"[..]);
    there.remove(&b"lost+found"[..]);
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for ((name, inode), path) in here.iter().zip(there.values()) {
        let real = volume.fs.inode(*inode).unwrap();
        let expected = path.symlink_metadata().unwrap();
        let name = name.escape_ascii();
        if real.kind != FileKind::Symlink {
            assert_eq!(real.mode, expected.mode(), "{name}");
        }
        match real.kind {
            FileKind::Directory => compare(volume, *inode, path),
            FileKind::Symlink => {
                let target =
                    std::fs::read_link(path).unwrap().into_os_string().into_encoded_bytes();
                volume.fs.read_link(*inode, |found| assert_eq!(found, target)).unwrap();
            }
            FileKind::Regular => {
                assert_eq!(real.size, expected.len(), "{name}");
                assert!(volume.read(*inode).unwrap() == std::fs::read(path).unwrap(), "{name}");
            }
            _ => {}
        }
    }
}

#[test]
fn what_mke2fs_puts_in_is_read() {
    let scratch = Scratch::new();
    let tree = scratch.path("tree");
    plant(&tree);
    let tree_text = tree.to_str().unwrap();
    for options in [
        &["-b", "1024"][..],
        &["-b", "2048"],
        &["-b", "4096"],
        &["-b", "1024", "-I", "128"],
        &["-b", "4096", "-I", "256"],
        &["-b", "1024", "-r", "0"],
        &["-b", "1024", "-g", "2048"],
        &["-b", "1024", "-O", "none"],
        &["-b", "4096", "-O", "sparse_super2,filetype"],
        &["-b", "1024", "-t", "ext3", "-O", "filetype,has_journal,dir_index"],
    ] {
        let options = [options, &["-d", tree_text]].concat();
        let image = make_image(16_384, &options);
        let volume = try_mount(image, true).unwrap();
        compare(&volume, ROOT_INODE, &tree);
        assert_eq!(volume.fs.dirty_blocks(), 0);
    }
}

#[test]
fn what_is_written_debugfs_reads() {
    for (seed, options) in [
        &["-b", "1024"][..],
        &["-b", "2048", "-I", "128"],
        &["-b", "4096"],
        &["-b", "1024", "-O", "none"],
        &["-b", "1024", "-r", "0"],
    ]
    .into_iter()
    .enumerate()
    {
        let mix = Mix { files: 60, bytes: 60_000, far: 2_000_000, fsync: 0, sync: 60 };
        let mut pair = Pair::new(make_image(16_384, options), mix);
        let mut dice = Dice::new(seed as u64);
        (0..300).for_each(|_| pair.step(&mut dice));
        let pair = pair.remount();
        let scratch = Scratch::new();
        let (image, tree) = (scratch.path("image"), scratch.path("tree"));
        std::fs::write(&image, &pair.volume.disk.borrow().now).unwrap();
        std::fs::create_dir(&tree).unwrap();
        let command = format!("rdump / {}", tree.to_str().unwrap());
        let said = run("debugfs", &["-R", &command, image.to_str().unwrap()]);
        assert_eq!(said.status, 0, "{}", said.output);
        let left_out =
            |kind| !matches!(kind, FileKind::Regular | FileKind::Directory | FileKind::Symlink);
        // debugfs does not make device nodes.
        compare_dump(&pair.volume, ROOT_INODE, &tree, &left_out);
    }
}

/// Compares what `rdump` wrote, which leaves out some kinds.
fn compare_dump(volume: &Volume, inode: u32, path: &Path, left_out: &dyn Fn(FileKind) -> bool) {
    for (name, inode) in volume.list(inode).unwrap() {
        let real = volume.fs.inode(inode).unwrap();
        let path = path.join(String::from_utf8(name).unwrap());
        match real.kind {
            kind if left_out(kind) => {}
            FileKind::Directory => compare_dump(volume, inode, &path, left_out),
            FileKind::Symlink => {
                let target =
                    std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
                volume.fs.read_link(inode, |found| assert_eq!(found, target)).unwrap();
            }
            _ => {
                assert!(volume.read(inode).unwrap() == std::fs::read(&path).unwrap(), "{path:?}");
            }
        }
    }
}

/// Changes an image with commands of debugfs.
fn change(image: &[u8], commands: &[&str]) -> Vec<u8> {
    let scratch = Scratch::new();
    let path = scratch.path("image");
    std::fs::write(&path, image).unwrap();
    for command in commands {
        let said = run("debugfs", &["-w", "-R", command, path.to_str().unwrap()]);
        assert_eq!(said.status, 0, "{command}: {}", said.output);
    }
    std::fs::read(&path).unwrap()
}

#[test]
fn an_index_of_hashes_is_read_over_and_given_up() {
    let scratch = Scratch::new();
    let tree = scratch.path("tree");
    plant(&tree);
    let options = ["-b", "1024", "-d", tree.to_str().unwrap()];
    let (said, image) = e2fsck(&make_image(16_384, &options), "-fyD");
    assert!(said.status <= 1, "{}", said.output);
    let mut volume = mount(image);
    let many = volume.fs.lookup(ROOT_INODE, b"many").unwrap().unwrap().inode;
    assert!(volume.fs.inode(many).unwrap().flags.contains(InodeFlags::INDEX));
    compare(&volume, ROOT_INODE, &tree);
    for number in 0..200 {
        volume.create(many, &format!("new {number}"), &FILE).unwrap();
    }
    volume.remove(many, "0").unwrap();
    assert!(!volume.fs.inode(many).unwrap().flags.contains(InodeFlags::INDEX));
    volume.check();
}

#[test]
fn attributes_stay_and_go_with_the_last_file() {
    let image = make_image(2048, &["-b", "1024", "-I", "128"]);
    let mut volume = mount(image);
    let one = volume.create(ROOT_INODE, "one", &FILE).unwrap();
    let two = volume.create(ROOT_INODE, "two", &FILE).unwrap();
    let free = volume.fs.usage().free_blocks;
    let image = change(&volume.check(), &["ea_set one user.colour green"]);
    // Both have the same block of attributes.
    let text = debugfs(&image, "stat one");
    let text = String::from_utf8(text).unwrap();
    let block = text.split("File ACL: ").nth(1).unwrap().split_whitespace().next().unwrap();
    let set = format!("set_inode_field two file_acl {block}");
    let sectors = "set_inode_field two blocks 2";
    let mut image = change(&image, &[&set, sectors]);
    let start: usize = block.parse::<usize>().unwrap() * 1024;
    assert_eq!(image[start + 4], 1);
    image[start + 4] = 2;
    assert_clean(&image);

    let mut volume = mount(image);
    assert_eq!(volume.fs.inode(one).unwrap().sectors, 2);
    volume.write(one, 0, b"contents").unwrap();
    volume.truncate(one, 3).unwrap();
    volume.remove(ROOT_INODE, "two").unwrap();
    let image = volume.check();
    let said = String::from_utf8(debugfs(&image, "ea_get one user.colour")).unwrap();
    assert!(said.contains("green"), "{said}");
    let mut volume = mount(image);
    volume.remove(ROOT_INODE, "one").unwrap();
    assert_eq!(volume.fs.usage().free_blocks, free);
    let _ = two;
    volume.check();
}

#[test]
fn orphans_of_others_are_deleted() {
    let mut volume = mount(make_image(2048, &["-b", "1024"]));
    let usage = volume.fs.usage();
    let mut inodes = Vec::new();
    for name in ["a", "b", "cut"] {
        let inode = volume.create(ROOT_INODE, name, &FILE).unwrap();
        volume.write(inode, 0, &[1; 40_000]).unwrap();
        inodes.push(inode);
    }
    let [a, b, cut] = inodes[..] else { unreachable!() };
    let image = change(
        &volume.check(),
        &[
            "unlink a",
            "unlink b",
            &format!("set_inode_field <{a}> links_count 0"),
            &format!("set_inode_field <{b}> links_count 0"),
            &format!("set_inode_field <{a}> dtime {b}"),
            &format!("set_inode_field <{b}> dtime {cut}"),
            "set_inode_field cut size 10000",
            &format!("set_super_value last_orphan {a}"),
        ],
    );
    let volume = mount(image);
    assert_eq!(volume.fs.inode(cut).unwrap().size, 10_000);
    assert_eq!(volume.fs.inode(cut).unwrap().sectors, 20);
    assert_eq!(volume.fs.usage().free_blocks, usage.free_blocks - 10);
    volume.check();
}

#[test]
fn a_list_of_orphans_that_does_not_end_is_survived() {
    let mut volume = mount(make_image(2048, &["-b", "1024"]));
    let a = volume.create(ROOT_INODE, "a", &FILE).unwrap();
    let image = volume.unmount();
    for (links, next) in [(0, a), (0, 5000), (1, 3), (1, 1)] {
        let image = change(
            &image,
            &[
                &format!("set_inode_field <{a}> links_count {links}"),
                &format!("set_inode_field <{a}> dtime {next}"),
                &format!("set_super_value last_orphan {a}"),
            ],
        );
        let mut volume = mount(image);
        assert!(volume.fs.take_report().is_some());
    }
}
