//! Tests.

mod identify;
mod messages;
mod pages;
mod rings;
