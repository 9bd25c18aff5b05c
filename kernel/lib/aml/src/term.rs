//! Reads terms: constants, variables, names, operators with their operands (ACPI 6.5, section
//! 20.2.5).

use alloc::vec::Vec;

use crate::call::{Block, Inside, Taken, Wants, next_operand};
use crate::error::push;
use crate::machine::{Flow, Machine};
use crate::namespace::{Kind, NodeId};
use crate::operand::{self, Operand, op};
use crate::stream::{Path, begins_name};
use crate::value::{Name, Place};
use crate::{Error, Value};

impl Machine<'_> {
    /// Reads an operand, or the operator that makes it.
    pub(crate) fn operand(&mut self, wanted: Operand) -> Result<Flow, Error> {
        match wanted {
            Operand::Constant(bytes) => {
                let value = self.fetch(|code| code.integer(bytes))?;
                self.take(Taken::Value(Value::Integer(value)))
            }
            Operand::NewName => {
                let path = self.fetch(|code| code.path())?;
                self.take(Taken::Path(path))
            }
            Operand::Target if self.fetch(|code| Ok(code.peek()))? == Some(0) => {
                self.fetch(|code| code.byte())?;
                self.take(Taken::Place(Place::Nowhere))
            }
            Operand::Place | Operand::Target => self.place_term(),
            Operand::Value => self.term(),
        }
    }

    /// A term that names a place.
    fn place_term(&mut self) -> Result<Flow, Error> {
        let first = self.fetch(|code| code.peek().ok_or(Error::Malformed))?;
        if begins_name(first) {
            let path = self.fetch(|code| code.path())?;
            return self.named_place(&path);
        }
        let frame = self.current()?.frame;
        let place = match first {
            0x60..=0x67 => Place::Local(frame, usize::from(first - 0x60)),
            0x68..=0x6e => Place::Argument(frame, usize::from(first - 0x68)),
            // Operators that give a place, and constants: the machine takes what they give.
            _ => return self.term(),
        };
        self.fetch(|code| code.byte())?;
        self.take(Taken::Place(place))
    }

    fn named_place(&mut self, path: &Path) -> Result<Flow, Error> {
        let scope = self.current()?.scope;
        match self.aml.space.resolve(scope, path) {
            Ok(node) => match self.aml.space.get(node).map(|node| &node.kind) {
                // What a method returns may be a place.
                Some(Kind::Method(method)) if self.wants_what_is_returned() => {
                    let method = *method;
                    self.wait(Wants::Call(method))?;
                    self.name_of_call(node)
                }
                _ => self.take(Taken::Place(Place::Object(node))),
            },
            // CondRefOf asks whether it is there.
            Err(_) if self.asks_whether_it_is_there() => self.take(Taken::Path(path.clone())),
            Err(error) => Err(error),
        }
    }

    /// Whether a method that is named where a place is wanted is to be called.
    fn wants_what_is_returned(&self) -> bool {
        let pending = self.calls.last().and_then(|call| call.pending.last());
        pending.is_some_and(|pending| {
            matches!(
                pending.wants,
                Wants::Operator {
                    code: op::INDEX
                        | op::SIZE_OF
                        | op::CREATE_BIT
                        | op::CREATE_BYTE
                        | op::CREATE_WORD
                        | op::CREATE_DOUBLE_WORD
                        | op::CREATE_QUAD_WORD
                        | op::CREATE_FIELD,
                    ..
                }
            )
        })
    }

    fn asks_whether_it_is_there(&self) -> bool {
        let pending = self.calls.last().and_then(|call| call.pending.last());
        pending.is_some_and(|pending| {
            matches!(pending.wants, Wants::Operator { code: op::CONDITIONAL_REFERENCE, .. })
        })
    }

    /// Notes which object a call is of.
    fn name_of_call(&mut self, node: NodeId) -> Result<Flow, Error> {
        self.take(Taken::Value(Value::Object(node)))
    }

    /// A term: a constant, a variable, a name, or an operator.
    pub(crate) fn term(&mut self) -> Result<Flow, Error> {
        let first = self.fetch(|code| code.peek().ok_or(Error::Malformed))?;
        if begins_name(first) {
            let path = self.fetch(|code| code.path())?;
            return self.named(&path);
        }
        self.fetch(|code| code.byte())?;
        let all = if self.is_64_bits() { u64::MAX } else { u32::MAX.into() };
        let value = match first {
            0x00 => 0,
            0x01 => 1,
            0xff => all,
            0x0a => self.fetch(|code| code.integer(1))?,
            0x0b => self.fetch(|code| code.integer(2))?,
            0x0c => self.fetch(|code| code.integer(4))?,
            0x0e => self.fetch(|code| code.integer(8))?,
            0x0d => {
                let text = self.string()?;
                return Ok(Flow::Made(Value::String(text)));
            }
            0x60..=0x6e => return self.variable(first),
            _ => return self.operator(first),
        };
        Ok(Flow::Made(Value::Integer(value & all)))
    }

    fn string(&mut self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        loop {
            match self.fetch(|code| code.byte())? {
                0 => return Ok(text),
                byte => push(&mut text, byte)?,
            }
        }
    }

    fn variable(&mut self, code: u8) -> Result<Flow, Error> {
        let call = self.current()?;
        let index = usize::from(code & 0xf);
        let value = match index.checked_sub(8) {
            Some(argument) => call.arguments.get(argument),
            None => call.locals.get(index),
        };
        let value = value.ok_or(Error::Malformed)?.clone();
        self.spend(value.weight())?;
        Ok(Flow::Made(value))
    }

    /// The value of a name: what a method returns, what a field holds.
    fn named(&mut self, path: &Path) -> Result<Flow, Error> {
        let scope = self.current()?.scope;
        let node = self.aml.space.resolve(scope, path)?;
        match self.aml.space.get(node).map(|node| &node.kind) {
            Some(Kind::Method(method)) => {
                let method = *method;
                self.wait(Wants::Call(method))?;
                self.name_of_call(node)
            }
            Some(Kind::Interfaces) => self.wait(Wants::Interfaces).map(|()| Flow::Next),
            _ => self.object_value(node).map(Flow::Made),
        }
    }

    /// An operator, whose first byte has been read.
    fn operator(&mut self, first: u8) -> Result<Flow, Error> {
        let code = operand::code(first, || self.fetch(|code| code.byte()))?;
        if let Some(simple) = operand::simple(code) {
            let (operands, has_value) = (simple.operands, simple.has_value);
            self.wait(Wants::Operator { code, operands, has_value })?;
            return Ok(Flow::Next);
        }
        let is_part_of_a_term = !self.current()?.pending.is_empty();
        let makes_a_value = matches!(code, op::BUFFER | op::PACKAGE | op::VARIABLE_PACKAGE);
        if is_part_of_a_term && !makes_a_value && code != op::DEBUG {
            return Err(Error::Malformed);
        }
        match code {
            op::DEBUG => {
                return match self.current()?.pending.last().and_then(next_operand) {
                    Some(Operand::Place | Operand::Target) => {
                        self.take(Taken::Place(Place::Nowhere))
                    }
                    _ => Err(Error::Malformed),
                };
            }
            op::IF => {
                let end = self.fetch(|code| code.package_end())?;
                self.wait(Wants::If(end))?;
            }
            op::ELSE => {
                // Behind an If whose predicate was false: others are skipped.
                let end = self.fetch(|code| code.package_end())?;
                push(&mut self.current()?.blocks, Block { end, inside: Inside::Else })?;
            }
            op::WHILE => {
                let end = self.fetch(|code| code.package_end())?;
                let start = self.current()?.at;
                self.wait(Wants::While { start, end })?;
            }
            op::BUFFER => {
                let end = self.fetch(|code| code.package_end())?;
                self.wait(Wants::Buffer(end))?;
            }
            op::PACKAGE => {
                let end = self.fetch(|code| code.package_end())?;
                let count = self.fetch(|code| code.byte())?;
                self.wait(Wants::Package { end, count: count.into() })?;
            }
            op::VARIABLE_PACKAGE => {
                let end = self.fetch(|code| code.package_end())?;
                self.wait(Wants::VariablePackage(end))?;
            }
            _ => self.define(code)?,
        }
        Ok(Flow::Next)
    }

    /// An element of a package: a value, or the name of an object.
    pub(crate) fn element(&mut self) -> Result<Flow, Error> {
        let first = self.fetch(|code| code.peek().ok_or(Error::Malformed))?;
        if !begins_name(first) {
            return self.term();
        }
        let path = self.fetch(|code| code.path())?;
        let scope = self.current()?.scope;
        Ok(Flow::Made(Value::Name(Name { scope, path })))
    }
}
