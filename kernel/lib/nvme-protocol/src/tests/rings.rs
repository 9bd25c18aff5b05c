//! A driver and a controller at the two ends of both rings.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::{Completion, CompletionRing, SubmissionRing};

#[test]
fn a_ring_is_full_with_one_entry_less() {
    let mut ring = SubmissionRing::new(4);
    assert_eq!(
        [ring.push(), ring.push(), ring.push(), ring.push()],
        [Some(0), Some(1), Some(2), None]
    );
    assert!(ring.is_full() && ring.waiting() == 3 && ring.tail() == 3);
    assert!(ring.taken_to(2));
    assert_eq!([ring.push(), ring.push(), ring.push()], [Some(3), Some(0), None]);
    // Not to where it was not told of, nor back.
    let before = ring;
    for head in [4, 100, u16::MAX] {
        assert!(!ring.taken_to(head) && ring == before, "{head}");
    }
    assert!(ring.taken_to(0) && !ring.taken_to(3) && ring.taken_to(1) && ring.waiting() == 0);
    assert_eq!(SubmissionRing::new(0).entries(), 2);
}

#[test]
fn the_largest_ring_wraps() {
    let mut ring = SubmissionRing::new(u16::MAX);
    for expected in (0..u16::MAX).chain(0..10) {
        assert_eq!(ring.push(), Some(expected));
        assert!(ring.taken_to(ring.tail()));
    }
    let mut ring = CompletionRing::new(u16::MAX);
    (0..u16::MAX).for_each(|_| ring.pop());
    assert_eq!((ring.head(), ring.phase()), (0, false));
}

proptest! {
    /// The controller takes and answers in any order and at any pace, and its ring of answers is
    /// never overrun, as the specification asks for: each command is answered once.
    #[test]
    fn all_commands_are_answered(
        entries in 2u16..20,
        steps in proptest::collection::vec((0u8..4, any::<u16>()), 0..600),
    ) {
        let mut submission = SubmissionRing::new(entries);
        let mut completion = CompletionRing::new(entries);
        let mut commands = vec![u16::MAX; entries.into()];
        let mut answers = vec![[0u32; 4]; entries.into()];
        // The controller's side.
        let (mut head, mut tail, mut phase) = (0u16, 0u16, true);
        let mut unanswered: VecDeque<u16> = VecDeque::new();
        let mut room = entries - 1;
        // Which commands are there.
        let mut next = 0u16;
        let mut open: Vec<u16> = Vec::new();
        for (step, random) in steps {
            match step {
                0 => if let Some(index) = submission.push() {
                    commands[usize::from(index)] = next;
                    open.push(next);
                    next = next.wrapping_add(1);
                },
                1 if head != submission.tail() => {
                    unanswered.push_back(commands[usize::from(head)]);
                    head = (head + 1) % entries;
                }
                2 if !unanswered.is_empty() && room > 0 => {
                    let which = usize::from(random) % unanswered.len();
                    let id = unanswered.remove(which).expect("one of them");
                    let fourth = u32::from(id) | u32::from(phase) << 16;
                    answers[usize::from(tail)] = [0, 0, u32::from(head), fourth];
                    tail = (tail + 1) % entries;
                    phase ^= tail == 0;
                    room -= 1;
                }
                3 => loop {
                    let answer = answers[usize::from(completion.head())];
                    if !Completion::has_phase(answer[3], completion.phase()) {
                        break;
                    }
                    completion.pop();
                    room += 1;
                    let answer = Completion::new(answer);
                    prop_assert!(submission.taken_to(answer.submission_head()));
                    let at = open.iter().position(|&id| id == answer.id());
                    prop_assert!(at.is_some(), "an answer to nothing");
                    open.remove(at.expect("checked"));
                },
                _ => {}
            }
        }
        prop_assert!(submission.waiting() < entries);
    }
}
