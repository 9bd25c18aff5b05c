//! Two names change places.
