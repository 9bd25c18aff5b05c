//! Tests, on disks in memory.

mod gpt;
mod image;
mod mbr;
mod nonsense;

use crate::{Error, Kind, Partition, Table, read};
use image::Image;

/// The table of an image, which has one.
fn table(image: &mut Image) -> Table {
    let table = read(image).expect("readable").expect("a table");
    check(image, &table);
    table
}

/// What holds for any table.
fn check(image: &Image, table: &Table) {
    let mut previous: Option<&Partition> = None;
    for partition in &table.partitions {
        assert!(partition.first > 0 && partition.blocks > 0, "{partition:?}");
        assert!(partition.end() <= image.block_count(), "{partition:?}");
        assert!(previous.is_none_or(|before| before.number < partition.number));
        previous = Some(partition);
    }
    let mut by_place: Vec<_> = table.partitions.iter().collect();
    by_place.sort_by_key(|partition| partition.first);
    assert!(by_place.windows(2).all(|pair| pair[0].end() <= pair[1].first), "{table:?}");
}

/// Number, first block and number of blocks of each.
fn places(table: &Table) -> Vec<(u32, u64, u64)> {
    table.partitions.iter().map(|it| (it.number, it.first, it.blocks)).collect()
}

#[test]
fn a_disk_without_a_table_has_none() {
    assert_eq!(read(&mut Image::new(512, 64)), Ok(None));
    assert_eq!(read(&mut Image::new(4096, 0)), Ok(None));
    assert_eq!(read(&mut Image::new(520, 8)), Err(Error::BlockSize(520)));
    assert_eq!(read(&mut Image::new(8192, 8)), Err(Error::BlockSize(8192)));
    // The signature and no entry; and a boot sector of DOS, with code where entries would be.
    let mut image = Image::new(512, 64);
    image.record(0, &[]);
    assert_eq!(read(&mut image), Ok(None));
    image.record(0, &[(0x83, 8, 8)]);
    image.bytes[446] = b'N';
    assert_eq!(read(&mut image), Ok(None));
    let mut broken = Image::new(512, 64);
    broken.unreadable = Some(0);
    assert_eq!(read(&mut broken), Err(Error::Read("planted")));
}

#[test]
fn kinds_have_names() {
    assert_eq!(Kind::Mbr(0x83).to_string(), "Linux");
    assert_eq!(Kind::Mbr(0x99).to_string(), "type 0x99");
    assert_eq!(Kind::Gpt(image::LINUX).to_string(), "Linux");
    let unknown = crate::Guid::from_bytes([0x11; 16]);
    assert_eq!(Kind::Gpt(unknown).to_string(), "11111111-1111-1111-1111-111111111111");
}
