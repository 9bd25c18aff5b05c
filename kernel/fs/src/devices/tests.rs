//! Tests of the devices of major number 1, as files; programs test the calls on them.

use abi::Errno;
use abi::fcntl::O_RDWR;

use super::{MAJOR, MEMORY, memory};
use crate::buffer::{Destination, Source};
use crate::nodes;
use crate::open_file::{OpenFile, Seek};
use crate::status::{DeviceNumber, Kind};

fn open(minor: u32) -> Result<alloc::sync::Arc<OpenFile>, Errno> {
    let device = DeviceNumber { major: MAJOR, minor };
    Ok(OpenFile::new(nodes::open(Kind::CharDevice, device, O_RDWR)?, O_RDWR))
}

#[base::kernel_test]
fn memory_devices_read_and_write_as_their_names_say() {
    let mut bytes = [7; 5000];
    for (minor, read, written) in [
        (memory::NULL, 0, Ok(3)),
        (memory::ZERO, 5000, Ok(3)),
        (memory::FULL, 5000, Err(Errno::ENOSPC)),
    ] {
        bytes.fill(7);
        let file = open(minor).expect("open");
        assert_eq!(file.read(&mut Destination::Kernel(&mut bytes)), Ok(read));
        assert!(bytes.iter().take(read).all(|&byte| byte == 0));
        assert!(bytes.iter().skip(read).all(|&byte| byte == 7));
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), written);
        assert_eq!(file.read_at(1 << 40, &mut Destination::Kernel(&mut bytes)), Ok(read));
        for to in [Seek::Set(-1), Seek::Set(99), Seek::Current(7), Seek::End(3)] {
            assert_eq!(file.seek(to), Ok(0));
        }
    }
}

#[base::kernel_test]
fn other_minor_numbers_are_no_devices() {
    for minor in (0..300).filter(|minor| MEMORY.iter().all(|(_, known, _)| known != minor)) {
        assert_eq!(open(minor).err(), Some(Errno::ENXIO), "{minor}");
    }
    let block = DeviceNumber { major: MAJOR, minor: memory::NULL };
    assert!(nodes::open(Kind::BlockDevice, block, O_RDWR).is_err());
}

#[base::kernel_test]
fn random_devices_give_bytes_and_take_some() {
    for minor in [super::random::RANDOM, super::random::URANDOM] {
        let file = open(minor).expect("open");
        let (mut one, mut other) = ([0; 600], [0; 600]);
        assert_eq!(file.read(&mut Destination::Kernel(&mut one)), Ok(600));
        assert_eq!(file.read(&mut Destination::Kernel(&mut other)), Ok(600));
        assert_ne!(one, other);
        let before = drivers::random::statistics().contributed;
        assert_eq!(file.write(&mut Source::Kernel(&one)), Ok(600));
        assert!(drivers::random::statistics().contributed >= before + 600);
    }
}
