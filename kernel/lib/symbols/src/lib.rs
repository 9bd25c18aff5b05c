//! placeholder
#![no_std]
#![allow(missing_docs)]
pub struct SymbolTable<'a>(&'a [u8]);
#[derive(Debug)] pub struct FormatError;
pub struct Frame<'a> { pub function: &'a str, pub offset: u64, pub file: Option<&'a str>, pub line: u32, pub inlined: bool }
impl<'a> SymbolTable<'a> { pub fn parse(b: &'a [u8]) -> Result<Self, FormatError> { let _ = Self(b).0; Err(FormatError) }
 pub fn frames(&self, _a: u64) -> impl Iterator<Item = Frame<'a>> { core::iter::empty() } }
