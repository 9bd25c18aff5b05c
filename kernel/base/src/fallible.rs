//! Allocation that may fail, where the standard library's cannot.

use alloc::alloc::{Layout, alloc};
use alloc::boxed::Box;

/// `value` in a box; itself if there is no memory for it.
///
/// # Errors
/// The value.
pub fn try_box<T>(value: T) -> Result<Box<T>, T> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        return Ok(Box::new(value)); // allocates nothing
    }
    // SAFETY: the layout is not empty.
    let place = unsafe { alloc(layout) }.cast::<T>();
    if place.is_null() {
        return Err(value);
    }
    // SAFETY: fresh memory of the global allocator with the layout of `T`, which holds a `T`
    // from the write on.
    unsafe {
        place.write(value);
        Ok(Box::from_raw(place))
    }
}

#[macros::kernel_test]
fn boxes_hold_what_was_put_into_them() {
    assert_eq!(try_box([7u64; 20]).map(|value| *value), Ok([7; 20]));
    assert_eq!(try_box(()).map(|value| *value), Ok(()));
    let text = alloc::string::String::from("freed with the box");
    assert_eq!(try_box(text).map(|text| text.len()), Ok(18));
}
