//! The order of made-up changes.

use super::*;

const HOME: u32 = 10;
const OTHER_HOME: u32 = 11;

fn dirty(kind: BlockKind, owner: u32, home: u32, fresh: bool) -> Dirty {
    Dirty { kind, owner, home, fresh }
}

fn order() -> Order {
    Order::new(8)
}

/// An order in which inode 1 (of block 10, with inodes 1 to 8) and inode 9 (of block 11) are
/// directories with one block each, 20 and 21.
fn two_directories() -> Order {
    let mut order = order();
    order.mark(HOME, dirty(BlockKind::Inodes, 1, HOME, false)).unwrap();
    order.mark(OTHER_HOME, dirty(BlockKind::Inodes, 9, OTHER_HOME, false)).unwrap();
    order.mark(20, dirty(BlockKind::Directory, 1, HOME, false)).unwrap();
    order.mark(21, dirty(BlockKind::Directory, 9, OTHER_HOME, false)).unwrap();
    order
}

fn name(block: u32, directory: u32, directory_home: u32) -> Name {
    Name {
        block,
        offset: 0,
        directory,
        directory_home,
        home: HOME,
        written: false,
        born: false,
        is_directory: false,
    }
}

/// Inode 3 moves from one block to another.
fn rename(order: &mut Order, from: u32, to: Name) -> Result<(), Error> {
    let mut proposal = Proposal::default();
    let lost = order.propose_loss(&mut proposal, 3, from, 0);
    let proposed = lost.and_then(|_| order.propose_name(&mut proposal, 3, to));
    order.accept_if(proposal, proposed)
}

fn levels(order: &Order) -> Vec<(u32, u32)> {
    let blocks = order.all().unwrap();
    let data = order.data_of(&blocks).unwrap();
    let levels = order.levels(&blocks, &data).unwrap();
    blocks.into_iter().zip(levels).collect()
}

#[test]
fn what_is_independent_comes_at_once() {
    let mut order = two_directories();
    order.mark(30, dirty(BlockKind::Bitmap, 0, 0, false)).unwrap();
    assert_eq!(levels(&order), [(10, 0), (11, 0), (20, 0), (21, 0), (30, 0)]);
}

#[test]
fn a_fresh_block_comes_before_what_points_to_it() {
    let mut order = order();
    order.mark(HOME, dirty(BlockKind::Inodes, 1, HOME, false)).unwrap();
    order.mark(40, dirty(BlockKind::Indirect, 3, HOME, true)).unwrap();
    order.mark(41, dirty(BlockKind::Indirect, 3, HOME, true)).unwrap();
    order.need(41, 40).unwrap();
    order.need(HOME, 41).unwrap();
    assert_eq!(levels(&order), [(10, 2), (40, 0), (41, 1)]);
}

#[test]
fn what_points_to_new_data_waits_for_them() {
    let mut order = order();
    order.mark(HOME, dirty(BlockKind::Inodes, 1, HOME, false)).unwrap();
    order.mark(OTHER_HOME, dirty(BlockKind::Inodes, 9, OTHER_HOME, false)).unwrap();
    order.mark(40, dirty(BlockKind::Indirect, 3, HOME, true)).unwrap();
    order.need(HOME, 40).unwrap();
    order.expect_data(3).unwrap();
    assert_eq!(order.data_of(&[HOME]).unwrap(), [3]);
    assert_eq!(order.data_of(&[OTHER_HOME]).unwrap(), []);
    assert_eq!(levels(&order), [(10, 1), (11, 0), (40, 0)]);
    // An indirect block that the disk has comes behind the inode with the size.
    order.mark(42, dirty(BlockKind::Indirect, 3, HOME, false)).unwrap();
    assert_eq!(levels(&order), [(10, 1), (11, 0), (40, 0), (42, 2)]);
    // With nothing else in the batch the first level is the data alone.
    let taken = order.take_all();
    assert!(order.is_clean());
    order.restore(taken).unwrap();
    assert_eq!(order.levels(&[HOME], &[3]).unwrap(), [1]);
}

#[test]
fn a_new_inode_comes_before_its_name() {
    let mut order = two_directories();
    order.add_name(3, Name { born: true, ..name(21, 9, OTHER_HOME) }).unwrap();
    assert_eq!(levels(&order), [(10, 0), (11, 0), (20, 0), (21, 1)]);
    assert!(order.is_unknown_to_disk(3));
}

#[test]
fn the_new_name_comes_before_the_loss_of_the_old() {
    let mut order = two_directories();
    rename(&mut order, 20, name(21, 9, OTHER_HOME)).unwrap();
    assert_eq!(levels(&order), [(10, 0), (11, 0), (20, 2), (21, 1)]);
    // Back again: the name never left its block.
    rename(&mut order, 21, name(20, 1, HOME)).unwrap();
    assert_eq!(levels(&order), [(10, 0), (11, 0), (20, 1), (21, 0)]);
}

#[test]
fn two_moves_against_each_other_are_refused() {
    let mut order = two_directories();
    rename(&mut order, 20, name(21, 9, OTHER_HOME)).unwrap();
    let before = format!("{order:?}");
    let mut proposal = Proposal::default();
    let lost = order.propose_loss(&mut proposal, 4, 21, 0);
    let to = Name { home: OTHER_HOME, ..name(20, 1, HOME) };
    let proposed = lost.and_then(|_| order.propose_name(&mut proposal, 4, to));
    assert_eq!(order.accept_if(proposal, proposed), Err(Error::WriteBackFirst));
    assert!(!order.is_young(4) && order.dropped(21).is_empty());
    assert_eq!(levels(&order), [(10, 0), (11, 0), (20, 2), (21, 1)], "{before}");
    // When all is written, it can be done.
    let _ = order.take_all();
    assert!(order.is_clean());
    let mut proposal = Proposal::default();
    let lost = order.propose_loss(&mut proposal, 4, 21, 0);
    let proposed = lost.and_then(|_| order.propose_name(&mut proposal, 4, to));
    assert_eq!(order.accept_if(proposal, proposed), Ok(()));
}

#[test]
fn a_name_in_a_new_directory_waits_for_the_way_there() {
    let mut order = two_directories();
    // Inode 9 is new: its name is in a third block, its own block is fresh.
    order.mark(22, dirty(BlockKind::Directory, 9, OTHER_HOME, true)).unwrap();
    order.need(OTHER_HOME, 22).unwrap();
    order.mark(23, dirty(BlockKind::Directory, 2, HOME, false)).unwrap();
    let born = Name { born: true, home: OTHER_HOME, ..name(23, 2, HOME) };
    order.add_name(9, born).unwrap();
    rename(&mut order, 20, name(22, 9, OTHER_HOME)).unwrap();
    // 22 is fresh, 11 points to it, 23 names that, and then 20 may lose the old name.
    let found = levels(&order);
    assert_eq!(found, [(10, 0), (11, 1), (20, 3), (21, 0), (22, 0), (23, 2)]);
    // fsync of the inode takes all but the loss of the old name.
    let closure = order.closure(3, HOME).unwrap();
    assert_eq!(closure.blocks, [10, 11, 22, 23]);
    assert_eq!(closure.named, [3, 9]);
}

#[test]
fn what_was_written_of_others_stays_young() {
    let mut order = two_directories();
    order.add_name(3, name(20, 1, HOME)).unwrap();
    order.add_name(4, Name { offset: 40, ..name(20, 1, HOME) }).unwrap();
    let closure = order.closure(3, HOME).unwrap();
    assert_eq!(closure.blocks, [10, 20]);
    let taken = order.take(3, &closure).unwrap();
    assert!(!order.is_young(3) && order.is_young(4));
    assert!(!order.is_name_unknown_to_disk(4, 20, 40));
    assert_eq!(levels(&order), [(11, 0), (21, 0)]);
    order.restore(taken).unwrap();
    assert!(order.is_young(3) && order.is_young(4));
    assert_eq!(order.all().unwrap(), [10, 11, 20, 21]);
}

#[test]
fn a_removed_directory_leaves_its_order_to_its_parent() {
    let mut order = two_directories();
    order.mark(23, dirty(BlockKind::Directory, 2, HOME, false)).unwrap();
    // Inode 3 leaves directory 1, which is then removed from block 23.
    rename(&mut order, 20, name(21, 9, OTHER_HOME)).unwrap();
    let mut proposal = Proposal::default();
    let proposed = order.propose_loss_of_all(&mut proposal, 1, 23);
    order.accept_if(proposal, proposed).unwrap();
    order.forget_block(20);
    assert_eq!(levels(&order), [(10, 0), (11, 0), (21, 1), (23, 2)]);
}

#[test]
fn circles_after_a_failure_come_to_an_end() {
    let mut order = two_directories();
    order.need(20, 21).unwrap();
    order.need(21, 20).unwrap();
    assert_eq!(levels(&order), [(10, 0), (11, 0), (20, 1), (21, 1)]);
}
