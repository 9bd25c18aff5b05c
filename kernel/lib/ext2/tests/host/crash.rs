//! The power is cut between any two writes; e2fsck repairs; what was promised is there.

use std::collections::BTreeSet;

use ext2::{FileKind, ROOT_INODE};

use crate::dice::Dice;
use crate::model::{Mix, Pair};
use crate::promises::Found;
use crate::random::factor;
use crate::tools::{e2fsck, make_image};
use crate::volume::{Volume, try_mount};

/// What e2fsck must never say: it means that the disk pointed to garbage, or that two files
/// had the same block.
const NEVER: [&str; 5] =
    ["ultiply-claimed", "llegal block", "corrupted", "UNEXPECTED INCONSISTENCY", "too many"];

/// All names and files of an image, but those in lost+found.
fn look(volume: &Volume) -> Found {
    let mut found = Found::default();
    let mut work = vec![ROOT_INODE];
    let mut seen = BTreeSet::new();
    while let Some(at) = work.pop() {
        for (name, inode) in volume.list(at).unwrap() {
            if at == ROOT_INODE && name == b"lost+found" {
                found.names.insert((at, "lost+found".into()), inode);
                continue;
            }
            found.names.insert((at, String::from_utf8(name).unwrap()), inode);
            if !seen.insert(inode) {
                continue;
            }
            match volume.fs.inode(inode).unwrap().kind {
                FileKind::Directory => work.push(inode),
                FileKind::Regular => {
                    found.contents.insert(inode, volume.read_sparse(inode).unwrap());
                }
                _ => {}
            }
        }
    }
    found
}

/// Goes through operations, cuts the power `cuts` times, and sees what is left.
fn crash(options: &[&str], mix: Mix, seed: u64, steps: usize, cuts: usize) {
    let mut dice = Dice::new(seed);
    let mut pair = Pair::new(make_image(2048, options), mix);
    pair.volume.disk.borrow_mut().keep_events();
    (0..steps).for_each(|_| pair.step(&mut dice));
    pair.compare_all();
    let disk = pair.volume.disk.borrow();
    let events = disk.events.len();
    for cut in 0..cuts {
        // Evenly spread, or all of them.
        let count = if cuts > events { cut % (events + 1) } else { dice.below(events + 1) };
        let survive = [1, 2, 4, 1000][dice.below(4)];
        let image = disk.cut(count, || dice.once_in(survive));
        let (said, repaired) = e2fsck(&image, "-fy");
        let done = pair.history.partition_point(|(events, _)| *events <= count);
        let explain = |what: &str| {
            let before = |line: &&String| {
                line.split(':')
                    .next()
                    .and_then(|it| it.parse().ok())
                    .is_none_or(|it: usize| it <= count + 40)
            };
            let log: Vec<_> = pair.log.iter().filter(before).cloned().collect();
            panic!(
                "{options:?}, seed {seed}, cut {cut} after {count} of {events} events: {what}\n{}\n{}",
                said.output,
                log[log.len().saturating_sub(150)..].join("\n")
            )
        };
        if !matches!(said.status, 0 | 1) {
            explain(&format!("e2fsck ends with {}", said.status));
        }
        if let Some(bad) = NEVER.iter().find(|bad| said.output.contains(*bad)) {
            explain(bad);
        }
        let Some((_, promises)) = done.checked_sub(1).map(|index| &pair.history[index]) else {
            continue;
        };
        let volume = try_mount(repaired, true).unwrap_or_else(|error| panic!("{error}"));
        if let Err(what) = promises.check(&look(&volume)) {
            explain(&what);
        }
    }
}

const MIX: Mix = Mix { files: 40, bytes: 12_000, far: 40_000, fsync: 6, sync: 40 };

#[test]
fn what_was_synced_outlives_a_power_cut() {
    for seed in 0..6 * factor() as u64 {
        crash(&["-b", "1024", "-N", "128", "-g", "1024"], MIX, seed, 250, 60);
    }
}

#[test]
fn directories_move_and_grow() {
    // Long names in blocks of 1 KiB: directories of many blocks, and moves between them.
    let mix = Mix { files: 70, bytes: 2000, far: 4000, fsync: 8, sync: 50 };
    for seed in 100..100 + 4 * factor() as u64 {
        crash(&["-b", "1024", "-N", "256"], mix, seed, 400, 60);
    }
}
