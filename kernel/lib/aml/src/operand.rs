//! Which operands an operator has (ACPI 6.5, section 20.2.5), and what it is called here.

use crate::Error;

/// What is read before the operator is carried out, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A term, for its value.
    Value,
    /// A term, for the place that it names.
    Place,
    /// The same, or nothing: the result is not stored.
    Target,
    /// The name of an object that is to be made.
    NewName,
    /// A constant of so many bytes.
    Constant(usize),
}

use Operand::{Constant, NewName, Place, Target, Value};

/// An operator with fixed operands. Others have a length and are in `define.rs` and
/// `machine.rs`.
pub(crate) struct Simple {
    pub(crate) operands: &'static [Operand],
    /// It gives a value; otherwise it stands alone.
    pub(crate) has_value: bool,
}

const fn value(operands: &'static [Operand]) -> Option<Simple> {
    Some(Simple { operands, has_value: true })
}

const fn alone(operands: &'static [Operand]) -> Option<Simple> {
    Some(Simple { operands, has_value: false })
}

/// The second byte of an operator of two, in the upper half.
pub(crate) const EXTENDED: u16 = 0x5b;

/// Operators, by their codes (an extended one as 0xNN5b).
pub(crate) mod op {
    pub(crate) const ALIAS: u16 = 0x06;
    pub(crate) const NAME: u16 = 0x08;
    pub(crate) const SCOPE: u16 = 0x10;
    pub(crate) const BUFFER: u16 = 0x11;
    pub(crate) const PACKAGE: u16 = 0x12;
    pub(crate) const VARIABLE_PACKAGE: u16 = 0x13;
    pub(crate) const METHOD: u16 = 0x14;
    pub(crate) const EXTERNAL: u16 = 0x15;
    pub(crate) const STORE: u16 = 0x70;
    pub(crate) const REFERENCE: u16 = 0x71;
    pub(crate) const ADD: u16 = 0x72;
    pub(crate) const CONCATENATE: u16 = 0x73;
    pub(crate) const SUBTRACT: u16 = 0x74;
    pub(crate) const INCREMENT: u16 = 0x75;
    pub(crate) const DECREMENT: u16 = 0x76;
    pub(crate) const MULTIPLY: u16 = 0x77;
    pub(crate) const DIVIDE: u16 = 0x78;
    pub(crate) const SHIFT_LEFT: u16 = 0x79;
    pub(crate) const SHIFT_RIGHT: u16 = 0x7a;
    pub(crate) const AND: u16 = 0x7b;
    pub(crate) const NAND: u16 = 0x7c;
    pub(crate) const OR: u16 = 0x7d;
    pub(crate) const NOR: u16 = 0x7e;
    pub(crate) const XOR: u16 = 0x7f;
    pub(crate) const NOT: u16 = 0x80;
    pub(crate) const FIND_SET_LEFT: u16 = 0x81;
    pub(crate) const FIND_SET_RIGHT: u16 = 0x82;
    pub(crate) const DEREFERENCE: u16 = 0x83;
    pub(crate) const CONCATENATE_TEMPLATES: u16 = 0x84;
    pub(crate) const MODULO: u16 = 0x85;
    pub(crate) const NOTIFY: u16 = 0x86;
    pub(crate) const SIZE_OF: u16 = 0x87;
    pub(crate) const INDEX: u16 = 0x88;
    pub(crate) const CREATE_DOUBLE_WORD: u16 = 0x8a;
    pub(crate) const CREATE_WORD: u16 = 0x8b;
    pub(crate) const CREATE_BYTE: u16 = 0x8c;
    pub(crate) const CREATE_BIT: u16 = 0x8d;
    pub(crate) const OBJECT_TYPE: u16 = 0x8e;
    pub(crate) const CREATE_QUAD_WORD: u16 = 0x8f;
    pub(crate) const LOGICAL_AND: u16 = 0x90;
    pub(crate) const LOGICAL_OR: u16 = 0x91;
    pub(crate) const LOGICAL_NOT: u16 = 0x92;
    pub(crate) const EQUAL: u16 = 0x93;
    pub(crate) const GREATER: u16 = 0x94;
    pub(crate) const LESS: u16 = 0x95;
    pub(crate) const TO_BUFFER: u16 = 0x96;
    pub(crate) const TO_INTEGER: u16 = 0x99;
    pub(crate) const COPY: u16 = 0x9d;
    pub(crate) const CONTINUE: u16 = 0x9f;
    pub(crate) const IF: u16 = 0xa0;
    pub(crate) const ELSE: u16 = 0xa1;
    pub(crate) const WHILE: u16 = 0xa2;
    pub(crate) const NOTHING: u16 = 0xa3;
    pub(crate) const RETURN: u16 = 0xa4;
    pub(crate) const BREAK: u16 = 0xa5;
    pub(crate) const BREAK_POINT: u16 = 0xcc;
    pub(crate) const MUTEX: u16 = 0x015b;
    pub(crate) const EVENT: u16 = 0x025b;
    pub(crate) const CONDITIONAL_REFERENCE: u16 = 0x125b;
    pub(crate) const CREATE_FIELD: u16 = 0x135b;
    pub(crate) const ACQUIRE: u16 = 0x235b;
    pub(crate) const RELEASE: u16 = 0x275b;
    pub(crate) const REVISION: u16 = 0x305b;
    pub(crate) const DEBUG: u16 = 0x315b;
    pub(crate) const REGION: u16 = 0x805b;
    pub(crate) const FIELD: u16 = 0x815b;
    pub(crate) const DEVICE: u16 = 0x825b;
    pub(crate) const PROCESSOR: u16 = 0x835b;
    pub(crate) const POWER_RESOURCE: u16 = 0x845b;
    pub(crate) const THERMAL_ZONE: u16 = 0x855b;
    pub(crate) const INDEX_FIELD: u16 = 0x865b;
    pub(crate) const BANK_FIELD: u16 = 0x875b;
    pub(crate) const DATA_REGION: u16 = 0x885b;
}

/// The operands of an operator, if it has fixed ones.
pub(crate) fn simple(code: u16) -> Option<Simple> {
    match code {
        op::NAME => alone(&[NewName, Value]),
        op::ALIAS => alone(&[Place, NewName]),
        op::EXTERNAL => alone(&[NewName, Constant(2)]),
        op::STORE | op::COPY => value(&[Value, Place]),
        op::REFERENCE => value(&[Place]),
        op::ADD
        | op::SUBTRACT
        | op::MULTIPLY
        | op::SHIFT_LEFT
        | op::SHIFT_RIGHT
        | op::AND
        | op::NAND
        | op::OR
        | op::NOR
        | op::XOR
        | op::MODULO
        | op::CONCATENATE
        | op::CONCATENATE_TEMPLATES => value(&[Value, Value, Target]),
        op::INCREMENT | op::DECREMENT => value(&[Place]),
        op::DIVIDE => value(&[Value, Value, Target, Target]),
        op::NOT | op::FIND_SET_LEFT | op::FIND_SET_RIGHT | op::TO_BUFFER | op::TO_INTEGER => {
            value(&[Value, Target])
        }
        op::DEREFERENCE => value(&[Value]),
        op::NOTIFY => alone(&[Place, Value]),
        op::SIZE_OF | op::OBJECT_TYPE => value(&[Place]),
        op::INDEX => value(&[Place, Value, Target]),
        op::CREATE_DOUBLE_WORD
        | op::CREATE_WORD
        | op::CREATE_BYTE
        | op::CREATE_BIT
        | op::CREATE_QUAD_WORD => alone(&[Place, Value, NewName]),
        op::CREATE_FIELD => alone(&[Place, Value, Value, NewName]),
        op::LOGICAL_AND | op::LOGICAL_OR | op::EQUAL | op::GREATER | op::LESS => {
            value(&[Value, Value])
        }
        op::LOGICAL_NOT => value(&[Value]),
        op::CONTINUE | op::BREAK | op::NOTHING | op::BREAK_POINT => alone(&[]),
        op::RETURN => alone(&[Value]),
        op::MUTEX => alone(&[NewName, Constant(1)]),
        op::EVENT => alone(&[NewName]),
        op::CONDITIONAL_REFERENCE => value(&[Place, Target]),
        op::ACQUIRE => value(&[Place, Constant(2)]),
        op::RELEASE => alone(&[Place]),
        op::REVISION => value(&[]),
        op::REGION => alone(&[NewName, Constant(1), Value, Value]),
        op::DATA_REGION => alone(&[NewName, Value, Value, Value]),
        _ => None,
    }
}

/// The code of the operator that begins with `first`; `second` gives the byte behind it.
pub(crate) fn code(first: u8, second: impl FnOnce() -> Result<u8, Error>) -> Result<u16, Error> {
    if u16::from(first) == EXTENDED {
        Ok(u16::from(second()?) << 8 | EXTENDED)
    } else {
        Ok(u16::from(first))
    }
}
