//! What the machine remembers: methods that have been called, the blocks that their code is
//! in, and operators that wait for operands.

use alloc::vec::Vec;

use crate::namespace::{Method, NodeId};
use crate::operand::Operand;
use crate::stream::Path;
use crate::value::{Frame, Place};
use crate::{Error, Value};

/// An operand that has been read.
#[derive(Debug)]
pub(crate) enum Taken {
    Value(Value),
    Place(Place),
    Path(Path),
}

/// What is done when all operands are there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wants {
    /// An operator with fixed operands.
    Operator {
        code: u16,
        operands: &'static [Operand],
        has_value: bool,
    },
    /// A method, with so many arguments.
    Call(Method),
    /// `_OSI`, with one argument.
    Interfaces,
    /// The predicate of a block that ends there.
    If(usize),
    /// The same, which begins there.
    While {
        start: usize,
        end: usize,
    },
    /// The number of bytes or elements, of what ends there.
    Buffer(usize),
    VariablePackage(usize),
    /// Elements until the end; there are so many places for them.
    Package {
        end: usize,
        count: usize,
    },
}

/// An operator that waits for operands.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) wants: Wants,
    pub(crate) taken: Vec<Taken>,
}

/// Why code is in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inside {
    /// Of an object, whose names are looked for in it; the scope outside.
    Scope(NodeId),
    If,
    Else,
    /// It begins there, with the predicate.
    While(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) end: usize,
    pub(crate) inside: Inside,
}

pub(crate) const UNINITIALIZED: Value = Value::Uninitialized;

/// A method that runs, or a table that is loaded.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) table: usize,
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) scope: NodeId,
    pub(crate) frame: Frame,
    pub(crate) locals: [Value; 8],
    pub(crate) arguments: [Value; 7],
    pub(crate) blocks: Vec<Block>,
    pub(crate) pending: Vec<Pending>,
    /// Objects that were there before.
    pub(crate) nodes: usize,
}

impl Call {
    pub(crate) fn new(
        table: usize,
        at: usize,
        end: usize,
        scope: NodeId,
        frame: Frame,
        nodes: usize,
    ) -> Self {
        Self {
            table,
            at,
            end,
            scope,
            frame,
            locals: [UNINITIALIZED; 8],
            arguments: [UNINITIALIZED; 7],
            blocks: Vec::new(),
            pending: Vec::new(),
            nodes,
        }
    }
}

/// What an operator waits for; `None`: it has all.
pub(crate) fn next_operand(pending: &Pending) -> Option<Operand> {
    let taken = pending.taken.len();
    match pending.wants {
        Wants::Operator { operands, .. } => operands.get(taken).copied(),
        // The first one is the method itself.
        Wants::Call(method) => (taken <= method.arguments).then_some(Operand::Value),
        Wants::Package { .. } => Some(Operand::Value),
        _ => (taken == 0).then_some(Operand::Value),
    }
}

/// The next operand, a value.
pub(crate) fn value(taken: &mut impl Iterator<Item = Taken>) -> Result<Value, Error> {
    match taken.next() {
        Some(Taken::Value(value)) => Ok(value),
        _ => Err(Error::Malformed),
    }
}
