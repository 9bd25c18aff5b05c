//! The tree against a map of the standard library.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::{PageTree, Tag};

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(u64),
    Tag(u64, bool, bool),
}

fn index() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..40u64,
        3 => 0..5000u64,
        1 => (0..64u32, 0..3u64).prop_map(|(bit, more)| (1u64 << bit).wrapping_add(more)),
        1 => Just(u64::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => index().prop_map(Step::Insert),
        2 => index().prop_map(Step::Remove),
        3 => (index(), any::<bool>(), any::<bool>()).prop_map(|(index, which, on)| Step::Tag(index, which, on)),
    ]
}

#[derive(Default)]
struct Model {
    pages: BTreeMap<u64, usize>,
    tags: [BTreeSet<u64>; 2],
}

fn check(tree: &PageTree<usize>, model: &Model, from: u64) {
    assert_eq!(tree.len(), model.pages.len());
    assert!(tree.iter().map(|(index, page)| (index, *page)).eq(model.pages.clone()));
    let next = model.pages.range(from..).next().map(|(index, page)| (*index, page));
    assert_eq!(tree.next(from), next);
    for tag in Tag::ALL {
        let tagged = &model.tags[tag as usize];
        let next = tagged.range(from..).next().map(|index| (*index, &model.pages[index]));
        assert_eq!(tree.next_tagged(from, tag), next);
        assert_eq!(tree.has_tagged(tag), !tagged.is_empty());
        assert_eq!(tree.has_tag(from, tag), tagged.contains(&from));
    }
}

proptest! {
    #[test]
    fn it_is_a_map_with_tags(steps in prop::collection::vec((step(), index()), 0..200)) {
        let (mut tree, mut model) = (PageTree::new(), Model::default());
        for (number, (step, from)) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(index) => {
                    assert_eq!(tree.insert(index, number), Ok(model.pages.insert(index, number)));
                }
                Step::Remove(index) => {
                    assert_eq!(tree.remove(index), model.pages.remove(&index));
                    model.tags.iter_mut().for_each(|tags| { tags.remove(&index); });
                }
                Step::Tag(index, which, on) => {
                    let tag = Tag::ALL[usize::from(which)];
                    tree.set_tag(index, tag, on);
                    let tags = &mut model.tags[tag as usize];
                    if on && model.pages.contains_key(&index) {
                        tags.insert(index);
                    } else {
                        tags.remove(&index);
                    }
                }
            }
            assert_eq!(tree.get(from), model.pages.get(&from));
            assert_eq!(tree.get_mut(from).copied(), model.pages.get(&from).copied());
            check(&tree, &model, from);
        }
    }
}

#[test]
fn an_empty_tree_keeps_nothing() {
    let mut tree = PageTree::new();
    for round in 0..3 {
        for index in [0, 63, 64, 1 << 20, u64::MAX] {
            assert_eq!(tree.insert(index, round), Ok(None));
        }
        for index in [u64::MAX, 0, 63, 1 << 20, 64] {
            assert_eq!(tree.remove(index), Some(round));
        }
        assert!(tree.is_empty() && tree.next(0).is_none());
    }
}
