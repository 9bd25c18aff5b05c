//! Floor 0: evaluates the firmware's AML as far as the kernel needs it: how interrupts of PCI
//! functions are routed, and what host bridges let through (ACPI specification 6.5, chapters
//! 5, 6 and 20).
//!
//! [`Aml::load`] reads the tables into a namespace, [`Aml::evaluate`] gives the value of an
//! object. It runs methods, but it changes nothing in the machine: a method that wants to
//! write to a register is an error ([`Error::Effect`]), and reading registers is the
//! [`Host`]'s, which may refuse. What else is missing is an error as well
//! ([`Error::Unsupported`]): index and bank fields, waiting, loading of further tables. So a
//! value is what the firmware means, or there is none.
//!
//! Tables are not trusted: nothing here recurses, each evaluation has a bound of steps (which
//! counts what is copied, too), and every byte is looked for before it is taken.
//!
//! | file | what |
//! |---|---|
//! | `stream.rs` | bytes, lengths and names |
//! | `namespace.rs` | the tree of objects |
//! | `value.rs` | values, and places where they are |
//! | `load.rs` | loading tables and evaluating objects |
//! | `call.rs` | methods that run, their blocks, and operators that wait |
//! | `machine.rs` | the loop |
//! | `term.rs` | reads operators and their operands |
//! | `operand.rs` | which operands an operator has |
//! | `operators.rs` | what operators do |
//! | `define.rs` | those that make objects |
//! | `field.rs` | fields of regions and buffers |
//! | `resource.rs` | resource templates |
//! | `pci.rs` | host bridges and `_PRT` |
//!
//! ```
//! use aml::{Aml, NoHost, Value};
//!
//! // Method (FOUR) { Return (Add (One, 3)) }
//! let table = [0x14, 0x0c, b'F', b'O', b'U', b'R', 0, 0xa4, 0x72, 0x01, 0x0a, 3, 0];
//! let mut aml = Aml::new();
//! assert!(aml.load(table.to_vec(), 2, &mut NoHost).is_empty());
//! let four = aml.find(aml.root(), "FOUR").unwrap();
//! assert_eq!(aml.evaluate(four, &[], &mut NoHost), Ok(Value::Integer(4)));
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod call;
mod define;
mod error;
mod field;
mod load;
mod machine;
mod namespace;
mod operand;
mod operators;
pub mod pci;
pub mod resource;
mod stream;
mod term;
#[cfg(test)]
mod tests;
mod value;

pub use error::Error;
pub use field::{Host, NoHost, PciPlace, Space};
pub use load::Problem;
pub use namespace::NodeId;
pub use value::Value;

use alloc::vec::Vec;

use namespace::Namespace;

/// The namespace of a machine, and the code in it.
#[derive(Debug)]
pub struct Aml {
    pub(crate) space: Namespace,
    pub(crate) tables: Vec<Table>,
}

/// The AML of a table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) code: Vec<u8>,
    /// Integers have 64 bits, otherwise 32: from revision 2 on.
    pub(crate) is_64_bits: bool,
}

impl Aml {
    /// A namespace with what is in every one.
    pub fn new() -> Self {
        Self { space: Namespace::new(), tables: Vec::new() }
    }

    /// The root of the namespace.
    pub fn root(&self) -> NodeId {
        Namespace::ROOT
    }
}

impl Default for Aml {
    fn default() -> Self {
        Self::new()
    }
}
