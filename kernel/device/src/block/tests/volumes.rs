//! Names, claims.

use super::super::test_disk::{TestDisk, description};
use super::super::{Claim, ClaimError, Description, DiskName, LimitsFault, RegisterError};
use super::super::{find, find_number, holder, register};
use super::whole;
use crate::root;

#[base::kernel_test]
fn a_volume_has_one_holder() {
    let (_disk, registration) = TestDisk::register(description(64));
    let volume = whole(&registration);
    assert_eq!(find_number(volume.number()).map(|found| found.sectors()), Some(64));
    assert!(holder(&volume).is_none());
    let claim = Claim::new(&volume, "a test").expect("free");
    assert_eq!(holder(&volume).as_deref(), Some("a test"));
    let error = Claim::new(&volume, "another").expect_err("taken");
    assert_eq!(error, ClaimError::InUse(volume.name().into(), "a test".into()));
    drop(claim);
    let claim = Claim::new(&volume, "another").expect("free");
    drop(registration);
    drop(claim);
    assert_eq!(Claim::new(&volume, "late").expect_err("gone"), ClaimError::Gone);
}

#[base::kernel_test]
fn descriptions_that_make_no_sense_are_refused() {
    let disk = TestDisk::new(64);
    let refused = |change: fn(&mut Description)| {
        let mut wrong = description(64);
        change(&mut wrong);
        register(root(), wrong, disk.clone()).err()
    };
    assert_eq!(refused(|it| it.queues = 0), Some(RegisterError::Queues));
    assert_eq!(refused(|it| it.depth = 0), Some(RegisterError::Queues));
    assert_eq!(refused(|it| it.depth = 1025), Some(RegisterError::Queues));
    let limits = |fault| Some(RegisterError::Limits(fault));
    assert_eq!(refused(|it| it.limits.logical_block = 520), limits(LimitsFault::BlockSize));
    assert_eq!(refused(|it| it.limits.physical_block = 256), limits(LimitsFault::BlockSize));
    assert_eq!(refused(|it| it.limits.max_segments = 0), limits(LimitsFault::TooSmall));
    assert_eq!(refused(|it| it.limits.dma_alignment = 3), limits(LimitsFault::Dma));
    let first = register(root(), description(64), disk.clone()).expect("sound");
    assert!(first.name().starts_with("tst"));
    let name = DiskName::Fixed(first.name().into());
    let taken = register(root(), Description { name, ..description(64) }, disk.clone());
    assert_eq!(taken.err(), Some(RegisterError::NameInUse));
    let second = register(root(), description(64), disk.clone()).expect("sound");
    assert_ne!(first.name(), second.name());
    let name = alloc::string::String::from(first.name());
    drop(first);
    assert!(find(&name).is_none() && find(second.name()).is_some());
}
