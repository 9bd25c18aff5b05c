//! Kernel tests of file locks: who keeps whom away, what goes when, and who waits.

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::fcntl::{O_RDWR, O_TMPFILE};
use abi::{Errno, Result};
use record_locks::{Bytes, Mode};
use task::{Task, spawn};

use super::table::{self, Key};
use super::{LockOwner, RecordOwner, show};
use crate::credentials::Credentials;
use crate::open_file::OpenFile;
use crate::pseudo::Text;
use crate::vfs::{open, root};

const SHARED: Option<Mode> = Some(Mode::Shared);
const EXCLUSIVE: Option<Mode> = Some(Mode::Exclusive);
const LOCKED: Result<()> = Err(Errno::EAGAIN);

fn new_file() -> Arc<OpenFile> {
    let root = root().expect("a root");
    open(&Credentials::ROOT, &root, b"/tmp", O_TMPFILE | O_RDWR, 0o600).expect("a file")
}

fn again(file: &OpenFile) -> Arc<OpenFile> {
    let path = file.path().expect("a path").clone();
    path.open(&Credentials::ROOT, O_RDWR).expect("a file")
}

fn bytes(start: i64, len: i64) -> Bytes {
    Bytes::new(0, start, len).expect("small numbers")
}

/// A process that locks bytes, at once or not at all.
struct Locker(LockOwner, u32);

impl Locker {
    fn new(pid: u32) -> Arc<Self> {
        Arc::new(Self(LockOwner::new(), pid))
    }

    fn owner(&self) -> RecordOwner<'_> {
        RecordOwner::Process(&self.0, self.1)
    }

    fn lock(&self, file: &OpenFile, start: i64, len: i64, mode: Option<Mode>) -> Result<()> {
        file.lock_bytes(self.owner(), bytes(start, len), mode, false)
    }

    fn wait(&self, file: &OpenFile, start: i64, len: i64) -> Result<()> {
        file.lock_bytes(self.owner(), bytes(start, len), EXCLUSIVE, true)
    }

    /// Who is in the way of an exclusive lock: process, first byte, length.
    fn way(&self, file: &OpenFile, start: i64, len: i64) -> Option<(Option<u32>, u64, u64)> {
        let found = file.lock_in_the_way(self.owner(), bytes(start, len), EXCLUSIVE)?;
        Some((found.owner.pid, found.bytes.first(), found.bytes.len_or_all()))
    }
}

fn is_known(key: Key) -> bool {
    table::lock().files().any(|(known, _)| known == key)
}

/// Until `count` wait for locks of the file.
fn until_waiting(file: &OpenFile, count: usize) {
    let key = Key::of(file);
    for _ in 0..5000 {
        if table::lock().waiting.iter().filter(|waiting| waiting.key == key).count() == count {
            return;
        }
        task::sleep(1_000_000);
    }
    panic!("there are not {count} who wait");
}

#[base::kernel_test]
fn a_lock_of_a_file_belongs_to_the_open_file() {
    let one = new_file();
    let [two, three] = [again(&one), again(&one)];
    assert_eq!(one.lock(SHARED, 1, false), Ok(()));
    assert_eq!(two.lock(SHARED, 2, false), Ok(()));
    assert_eq!(three.lock(EXCLUSIVE, 3, false), LOCKED);
    // One that cannot be had in another mode is gone.
    assert_eq!(one.lock(EXCLUSIVE, 1, false), LOCKED);
    assert_eq!(two.lock(EXCLUSIVE, 2, false), Ok(()));
    assert_eq!(two.lock(EXCLUSIVE, 2, false), Ok(()));
    assert_eq!(one.lock(SHARED, 1, false), LOCKED);
    assert_eq!(two.lock(SHARED, 2, false), Ok(()));
    assert_eq!(one.lock(SHARED, 1, false), Ok(()));
    assert_eq!(one.lock(None, 1, false), Ok(()));
    assert_eq!(one.lock(None, 1, false), Ok(()));
    let shared = two.clone();
    drop(two);
    assert_eq!(three.lock(EXCLUSIVE, 3, false), LOCKED);
    drop(shared);
    assert_eq!(three.lock(EXCLUSIVE, 3, false), Ok(()));
    let key = Key::of(&three);
    assert!(is_known(key));
    drop(three);
    assert!(!is_known(key));
}

#[base::kernel_test]
fn record_locks_belong_to_the_process_or_the_open_file() {
    let file = new_file();
    let other = again(&file);
    let [one, two] = [Locker::new(101), Locker::new(102)];
    assert_eq!(one.lock(&file, 0, 100, EXCLUSIVE), Ok(()));
    assert_eq!(one.lock(&other, 50, 100, EXCLUSIVE), Ok(()));
    assert_eq!(two.way(&file, 149, 0), Some((Some(101), 0, 150)));
    assert_eq!(one.way(&file, 0, 0), None);
    assert_eq!(one.lock(&file, 40, 20, None), Ok(()));
    assert_eq!(two.lock(&file, 40, 20, EXCLUSIVE), Ok(()));
    assert_eq!(two.lock(&file, 39, 2, SHARED), LOCKED);
    assert_eq!(one.way(&file, 0, 0), Some((Some(102), 40, 20)));
    // An open file is another one than the process that has it open.
    let by_file = |file: &OpenFile, start, mode| {
        file.lock_bytes(RecordOwner::OpenFile, bytes(start, 1), mode, false)
    };
    assert_eq!(by_file(&file, 10, SHARED), LOCKED);
    assert_eq!(by_file(&file, 1000, EXCLUSIVE), Ok(()));
    assert_eq!(by_file(&other, 1000, SHARED), LOCKED);
    assert_eq!(one.way(&file, 1000, 1), Some((None, 1000, 1)));
    let own = file.lock_in_the_way(RecordOwner::OpenFile, Bytes::ALL, None);
    assert_eq!(own.map(|own| own.bytes), Some(bytes(1000, 1)));
    assert_eq!(other.lock_in_the_way(RecordOwner::OpenFile, Bytes::ALL, None), None);
    // Locks of files are another matter.
    assert_eq!(other.lock(EXCLUSIVE, 1, false), Ok(()));

    two.0.closed(&other);
    assert_eq!(one.way(&file, 0, 1000), None);
    assert_eq!(two.way(&file, 0, 1000), Some((Some(101), 0, 40)));
    one.0.closed(&file);
    assert_eq!(two.lock(&other, 0, 1000, SHARED), Ok(()));
    assert_eq!(two.lock(&other, 0, 0, SHARED), LOCKED);
    drop(file);
    assert_eq!(two.lock(&other, 0, 0, SHARED), Ok(()));
    let key = Key::of(&other);
    drop(other);
    assert!(is_known(key), "the process has closed nothing");
    // The inode is kept by nobody here, as it would be by the process: the key is its old place.
    table::lock().release(key, &[table::Family::Records], two.0.number());
    assert!(!is_known(key));
}

/// Starts a task that waits for bytes, and says what came of it: 0, or an errno.
fn waiter(by: &Arc<Locker>, file: &Arc<OpenFile>, start: i64) -> (Arc<Task>, Arc<AtomicU32>) {
    let outcome = Arc::new(AtomicU32::new(u32::MAX));
    let (by, file, told) = (by.clone(), file.clone(), outcome.clone());
    let task = spawn("lock test", move || {
        let result = by.wait(&file, start, 10);
        let error = result.err().map_or(0, |error| error.code() as u32);
        told.store(error, Ordering::Release);
    });
    (task.expect("memory"), outcome)
}

#[base::kernel_test]
fn who_waits_gets_the_lock_when_it_is_free() {
    let file = new_file();
    let [one, two, three] = [201, 202, 203].map(Locker::new);
    assert_eq!(one.lock(&file, 0, 20, SHARED), Ok(()));
    assert_eq!(three.lock(&file, 5, 20, SHARED), Ok(()));
    let (task, outcome) = waiter(&two, &file, 0);
    until_waiting(&file, 1);
    let mut text = Text::within(10_000);
    show(&mut text).expect("room");
    let text = String::from_utf8(text.into_bytes()).expect("ASCII");
    let inode = file.status().inode;
    let has = |kind: &str, pid: u32, end: &str| {
        let found = text.lines().any(|line| {
            line.contains(kind)
                && line.contains(&alloc::format!(" {pid} "))
                && line.ends_with(&alloc::format!(":{inode} {end}"))
        });
        assert!(found, "{text}");
    };
    has(": POSIX  ADVISORY  READ", 201, "0 19");
    has(": POSIX  ADVISORY  READ", 203, "5 24");
    has(": -> POSIX  ADVISORY  WRITE", 202, "0 9");
    assert_eq!(one.lock(&file, 0, 0, None), Ok(()));
    until_waiting(&file, 1);
    assert_eq!(outcome.load(Ordering::Acquire), u32::MAX);
    three.0.closed(&file);
    task.join();
    assert_eq!(outcome.load(Ordering::Acquire), 0);
    assert_eq!(one.way(&file, 0, 0), Some((Some(202), 0, 10)));
    two.0.closed(&file);
    assert!(!is_known(Key::of(&file)));
}

#[base::kernel_test]
fn a_signal_ends_the_wait() {
    let file = new_file();
    let [one, two] = [301, 302].map(Locker::new);
    assert_eq!(one.lock(&file, 0, 0, EXCLUSIVE), Ok(()));
    let (task, outcome) = waiter(&two, &file, 0);
    until_waiting(&file, 1);
    task.interrupt();
    task.join();
    assert_eq!(outcome.load(Ordering::Acquire), Errno::EINTR.code() as u32);
    until_waiting(&file, 0);
    let (task, outcome) = waiter(&two, &file, 0);
    until_waiting(&file, 1);
    task.kill();
    task.join();
    assert_eq!(outcome.load(Ordering::Acquire), Errno::EINTR.code() as u32);
    one.0.closed(&file);
    assert!(!is_known(Key::of(&file)));
}

#[base::kernel_test]
fn who_would_wait_for_itself_is_told() {
    // Over two files, and three processes.
    let [a, b] = [(); 2].map(|()| new_file());
    let [one, two, three] = [401, 402, 403].map(Locker::new);
    assert_eq!(one.lock(&a, 0, 10, EXCLUSIVE), Ok(()));
    assert_eq!(two.lock(&b, 0, 10, EXCLUSIVE), Ok(()));
    assert_eq!(three.lock(&b, 100, 10, EXCLUSIVE), Ok(()));
    let (first, first_outcome) = waiter(&two, &a, 0);
    let (second, second_outcome) = waiter(&three, &b, 0);
    until_waiting(&a, 1);
    until_waiting(&b, 1);
    assert_eq!(one.wait(&b, 100, 1), Err(Errno::EDEADLK));
    assert_eq!(one.lock(&b, 100, 1, EXCLUSIVE), LOCKED);
    // An open file may be anybody's: that is no circle that is known. It ends by a signal.
    let by_file = {
        let b = b.clone();
        spawn("lock test", move || {
            let result = b.lock_bytes(RecordOwner::OpenFile, bytes(100, 1), EXCLUSIVE, true);
            assert_eq!(result, Err(Errno::EINTR));
        })
    };
    let by_file = by_file.expect("memory");
    until_waiting(&b, 2);
    by_file.interrupt();
    by_file.join();
    // No circle any more once the first is free.
    one.0.closed(&a);
    first.join();
    assert_eq!(first_outcome.load(Ordering::Acquire), 0);
    two.0.closed(&b);
    second.join();
    assert_eq!(second_outcome.load(Ordering::Acquire), 0);
    assert_eq!(one.wait(&b, 200, 1), Ok(()));
    two.0.closed(&a);
    one.0.closed(&b);
    three.0.closed(&b);
    assert!(!is_known(Key::of(&a)) && !is_known(Key::of(&b)));
}

#[base::kernel_test]
fn there_is_a_bound_for_locks() {
    let file = new_file();
    let by = Locker::new(601);
    let refused = (0..=table::MOST_OF_FILE as i64).find_map(|number| {
        let error = by.lock(&file, 2 * number, 1, EXCLUSIVE).err()?;
        Some((number, error))
    });
    let (number, error) = refused.expect("a bound");
    assert_eq!(error, Errno::ENOLCK);
    assert!(number > 1000, "{number} is not much");
    // What needs no more can be done, also a hole that is filled.
    assert_eq!(by.lock(&file, 100, 1, SHARED), Ok(()));
    assert_eq!(by.lock(&file, 0, 4, EXCLUSIVE), Ok(()));
    assert_eq!(by.lock(&file, 2 * number, 1, EXCLUSIVE), Ok(()));
    assert_eq!(by.lock(&file, 0, 0, None), Ok(()));
    assert!(!is_known(Key::of(&file)));
}

#[base::kernel_test]
fn many_who_want_the_same_have_it_one_at_a_time() {
    const TASKS: u32 = 4;
    const ROUNDS: u32 = 50;
    let file = new_file();
    let inside = Arc::new(AtomicU32::new(0));
    let tasks: alloc::vec::Vec<_> = (0..TASKS)
        .map_while(|number| {
            let (inside, file) = (inside.clone(), again(&file));
            let by = Locker::new(500 + number);
            spawn("lock test", move || {
                for round in 0..ROUNDS {
                    match round % 2 {
                        0 => by.wait(&file, 0, 10),
                        _ => file.lock_bytes(RecordOwner::OpenFile, bytes(5, 0), EXCLUSIVE, true),
                    }
                    .expect("the lock");
                    assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0, "two have it");
                    task::yield_now();
                    inside.fetch_sub(1, Ordering::AcqRel);
                    match round % 2 {
                        0 => by.lock(&file, 0, 0, None),
                        _ => file.lock_bytes(RecordOwner::OpenFile, Bytes::ALL, None, false),
                    }
                    .expect("it can be freed");
                }
            })
            .ok()
        })
        .collect();
    assert_eq!(tasks.len(), TASKS as usize);
    tasks.iter().for_each(|task| task.join());
    assert!(!is_known(Key::of(&file)));
}
