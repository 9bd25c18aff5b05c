//! The operations one by one.

use ext2::{Error, FileKind, NewKind, ROOT_INODE};

use crate::tools::make_image;
use crate::volume::{DIRECTORY, FILE, mount};

#[test]
fn a_file_is_made_written_and_read() {
    let mut volume = mount(make_image(4096, &["-b", "1024"]));
    let file = volume.create(ROOT_INODE, "file", &FILE).unwrap();
    let bytes: Vec<u8> = (0..500_000u32).map(|n| (n * 7 / 3) as u8).collect();
    volume.write(file, 0, &bytes).unwrap();
    assert_eq!(volume.read(file).unwrap(), bytes);
    let directory = volume.create(ROOT_INODE, "directory", &DIRECTORY).unwrap();
    volume.rename((ROOT_INODE, "file"), (directory, "moved"), true).unwrap();
    assert_eq!(volume.fs.lookup(ROOT_INODE, b"file"), Ok(None));
    let image = volume.check();
    let volume = mount(image);
    let found = volume.fs.lookup(directory, b"moved").unwrap().unwrap();
    assert_eq!((found.inode, found.kind), (file, Some(FileKind::Regular)));
    assert_eq!(volume.read(file).unwrap(), bytes);
}

#[test]
fn names_come_and_go() {
    let mut volume = mount(make_image(2048, &["-b", "1024"]));
    let file = volume.create(ROOT_INODE, "a", &FILE).unwrap();
    assert_eq!(volume.create(ROOT_INODE, "a", &FILE), Err(Error::Exists));
    volume.link(file, ROOT_INODE, "b").unwrap();
    assert_eq!(volume.fs.inode(file).unwrap().links, 2);
    assert_eq!(volume.remove(ROOT_INODE, "a").unwrap().links, 1);
    assert_eq!(volume.remove(ROOT_INODE, "a"), Err(Error::NotFound));
    assert_eq!(volume.remove(ROOT_INODE, "b").unwrap().links, 0);
    let mut new = FILE;
    new.kind = NewKind::Symlink(b"short");
    let short = volume.create(ROOT_INODE, "short", &new).unwrap();
    let target = [b'x'; 1000];
    new.kind = NewKind::Symlink(&target);
    let long = volume.create(ROOT_INODE, "long", &new).unwrap();
    assert_eq!(volume.fs.read_link(short, <[u8]>::to_vec).unwrap(), b"short");
    assert_eq!(volume.fs.read_link(long, <[u8]>::to_vec).unwrap(), target);
    volume.remove(ROOT_INODE, "long").unwrap();
    volume.check();
}
