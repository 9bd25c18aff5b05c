//! Damage that was found and survived: [`Reports`], kept until somebody writes it to the log.

use crate::error::Corrupt;

/// How many are kept; the first are the most telling.
const KEPT: usize = 8;

/// A short list of damage.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    kept: [Option<Corrupt>; KEPT],
}

impl Reports {
    /// Keeps one that is not kept yet, if there is room.
    pub(crate) fn push(&mut self, corrupt: Corrupt) {
        if self.kept.contains(&Some(corrupt)) {
            return;
        }
        if let Some(slot) = self.kept.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(corrupt);
        }
    }

    /// Takes the first.
    pub(crate) fn take(&mut self) -> Option<Corrupt> {
        let first = self.kept.first_mut()?.take();
        self.kept.rotate_left(1);
        first
    }
}
