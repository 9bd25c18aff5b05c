//! The machine that runs AML: a loop that fetches operators and their operands.
//!
//! AML puts operators before their operands. Those that wait for operands are a stack
//! ([`Pending`]), and so are the blocks that the code is in ([`Block`]) and the methods that
//! have been called ([`Call`]): however deeply a table nests them, this code does not.

use alloc::vec::Vec;

use crate::call::{Block, Call, Inside, Pending, Taken, UNINITIALIZED, Wants, next_operand, value};
use crate::error::push;
use crate::field::Host;
use crate::load::Problem;
use crate::namespace::{Method, NodeId};
use crate::operand::{Operand, op};
use crate::stream::Stream;
use crate::value::{DEEPEST, Frame};
use crate::{Aml, Error, Value};

/// Methods that may have called each other.
const DEEPEST_CALL: usize = 32;
/// Operators that may wait for each other's values in a method.
const DEEPEST_TERM: usize = 64;

/// A run of the machine.
pub(crate) struct Machine<'a> {
    pub(crate) aml: &'a mut Aml,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) calls: Vec<Call>,
    next_frame: u64,
    steps: usize,
    pub(crate) problems: Vec<Problem>,
}

/// What became of a step.
pub(crate) enum Flow {
    Next,
    /// A value has been made.
    Made(Value),
    /// The method returns one.
    Return(Value),
}

impl<'a> Machine<'a> {
    pub(crate) fn new(aml: &'a mut Aml, host: &'a mut dyn Host, steps: usize) -> Self {
        Self { aml, host, calls: Vec::new(), next_frame: 1, steps, problems: Vec::new() }
    }

    /// Takes `steps` of those that are left.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), Error> {
        self.steps = self.steps.checked_sub(steps).ok_or(Error::TooLong)?;
        Ok(())
    }

    /// A copy of a value.
    pub(crate) fn copy(&mut self, value: &Value) -> Result<Value, Error> {
        self.spend(value.weight())?;
        Ok(value.clone())
    }

    pub(crate) fn current(&mut self) -> Result<&mut Call, Error> {
        self.calls.last_mut().ok_or(Error::Malformed)
    }

    pub(crate) fn is_64_bits(&self) -> bool {
        let table = self.calls.last().and_then(|call| self.aml.tables.get(call.table));
        table.is_none_or(|table| table.is_64_bits)
    }

    /// Calls `read` with the code of the running method, and goes on where it has stopped.
    pub(crate) fn fetch<T>(
        &mut self,
        read: impl FnOnce(&mut Stream<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let call = self.calls.last_mut().ok_or(Error::Malformed)?;
        let code = self.aml.tables.get(call.table).map_or(&[][..], |table| &table.code);
        let end = call.blocks.last().map_or(call.end, |block| block.end);
        let mut stream = Stream::new(code, call.at, end);
        let result = read(&mut stream);
        call.at = stream.at;
        result
    }

    pub(crate) fn jump(&mut self, to: usize) -> Result<(), Error> {
        self.current()?.at = to;
        Ok(())
    }

    /// Where the code of the running method is: its table, and the place there.
    pub(crate) fn place(&mut self) -> Result<(usize, usize), Error> {
        let call = self.current()?;
        Ok((call.table, call.at))
    }

    /// Enters the block of an object, which ends at `end`.
    pub(crate) fn enter_scope(&mut self, node: NodeId, end: usize) -> Result<(), Error> {
        let call = self.current()?;
        push(&mut call.blocks, Block { end, inside: Inside::Scope(call.scope) })?;
        call.scope = node;
        Ok(())
    }

    /// Runs until the first method returns, or the table ends: what it returns.
    pub(crate) fn run(&mut self) -> Result<Value, Error> {
        loop {
            self.spend(1)?;
            match self.step()? {
                Flow::Next => {}
                Flow::Made(value) => self.made(value)?,
                Flow::Return(value) => {
                    let Some(call) = self.calls.pop() else { return Ok(value) };
                    let value = if call.nodes > 0 {
                        self.aml.space.forget(call.nodes);
                        value.without(call.nodes, call.frame)
                    } else {
                        value
                    };
                    if self.calls.is_empty() {
                        return Ok(value);
                    }
                    self.made(value)?;
                }
            }
        }
    }

    /// Begins a call of `method`, which is `node`.
    pub(crate) fn call(
        &mut self,
        node: NodeId,
        method: Method,
        given: Vec<Value>,
    ) -> Result<(), Error> {
        if self.calls.len() >= DEEPEST_CALL {
            return Err(Error::TooDeep);
        }
        let frame = Frame(self.next_frame);
        self.next_frame += 1;
        let nodes = self.aml.space.len();
        let Method { table, start, end, .. } = method;
        let mut call = Call::new(table, start, end, node, frame, nodes);
        call.arguments.iter_mut().zip(given).for_each(|(to, value)| *to = value);
        push(&mut self.calls, call)
    }

    /// The next thing: the end of a block, or an operator or an operand.
    fn step(&mut self) -> Result<Flow, Error> {
        let call = self.current()?;
        match call.pending.last() {
            Some(pending) => {
                if let Wants::Package { end, count } = pending.wants {
                    if call.at >= end {
                        return self.end_package(count);
                    }
                    return self.element();
                }
                match next_operand(pending) {
                    Some(wanted) => self.operand(wanted),
                    None => self.complete(),
                }
            }
            None => self.statement(),
        }
    }

    /// At the beginning of a statement, or the end of a block.
    fn statement(&mut self) -> Result<Flow, Error> {
        let call = self.current()?;
        let at = call.at;
        let Some(&block) = call.blocks.last() else {
            if at >= call.end {
                return Ok(Flow::Return(UNINITIALIZED));
            }
            return self.term();
        };
        if at < block.end {
            return self.term();
        }
        call.blocks.pop();
        match block.inside {
            Inside::Scope(outside) => call.scope = outside,
            Inside::If => self.skip_else()?,
            Inside::Else => {}
            Inside::While(start) => {
                call.at = start;
                self.wait(Wants::While { start, end: block.end })?;
            }
        }
        Ok(Flow::Next)
    }

    /// Passes over the Else behind an If whose block has run.
    pub(crate) fn skip_else(&mut self) -> Result<(), Error> {
        self.fetch(|code| {
            if code.peek() == Some(op::ELSE as u8) {
                code.at += 1;
                code.at = code.package_end()?;
            }
            Ok(())
        })
    }

    /// Puts an operator on the stack of those that wait.
    pub(crate) fn wait(&mut self, wants: Wants) -> Result<(), Error> {
        let call = self.current()?;
        if call.pending.len() >= DEEPEST_TERM {
            return Err(Error::TooDeep);
        }
        push(&mut call.pending, Pending { wants, taken: Vec::new() })
    }

    /// Gives a value to the operator that waits for it; one that stands alone is dropped.
    fn made(&mut self, value: Value) -> Result<(), Error> {
        match self.current()?.pending.last_mut() {
            Some(pending) => {
                // What is wanted as a place and is none is a place of its own.
                let taken = match (next_operand(pending), value) {
                    (Some(Operand::Place | Operand::Target), Value::Reference(place)) => {
                        Taken::Place(place)
                    }
                    (_, value) => Taken::Value(value),
                };
                push(&mut pending.taken, taken)
            }
            None => Ok(()),
        }
    }

    pub(crate) fn take(&mut self, taken: Taken) -> Result<Flow, Error> {
        let call = self.current()?;
        match call.pending.last_mut() {
            Some(pending) => push(&mut pending.taken, taken).map(|()| Flow::Next),
            None => Err(Error::Malformed),
        }
    }

    fn end_package(&mut self, count: usize) -> Result<Flow, Error> {
        let pending = self.current()?.pending.pop().ok_or(Error::Malformed)?;
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| Error::OutOfMemory)?;
        self.spend(count)?;
        for taken in pending.taken.into_iter().take(count) {
            let Taken::Value(value) = taken else { return Err(Error::Malformed) };
            values.push(value);
        }
        values.resize(count, UNINITIALIZED);
        let package = Value::Package(values);
        if package.is_deeper_than(DEEPEST) { Err(Error::TooDeep) } else { Ok(Flow::Made(package)) }
    }

    /// All operands are there: does what the operator does.
    fn complete(&mut self) -> Result<Flow, Error> {
        let pending = self.current()?.pending.pop().ok_or(Error::Malformed)?;
        let mut taken = pending.taken.into_iter();
        match pending.wants {
            Wants::Operator { code: op::RETURN, .. } => Ok(Flow::Return(value(&mut taken)?)),
            Wants::Operator { code: op::BREAK, .. } => self.leave_loop(false),
            Wants::Operator { code: op::CONTINUE, .. } => self.leave_loop(true),
            Wants::Operator { code, has_value, .. } => {
                let made = self.apply(code, &mut taken)?;
                Ok(if has_value { Flow::Made(made) } else { Flow::Next })
            }
            Wants::Call(method) => {
                let Value::Object(node) = value(&mut taken)? else {
                    return Err(Error::Malformed);
                };
                let mut given = Vec::new();
                for _ in 0..method.arguments {
                    push(&mut given, value(&mut taken)?)?;
                }
                self.call(node, method, given)?;
                Ok(Flow::Next)
            }
            // None of the systems that it asks for.
            Wants::Interfaces => Ok(Flow::Made(Value::Integer(0))),
            Wants::If(end) => {
                if value(&mut taken)?.as_integer()? != 0 {
                    push(&mut self.current()?.blocks, Block { end, inside: Inside::If })?;
                } else {
                    self.jump(end)?;
                }
                Ok(Flow::Next)
            }
            Wants::While { start, end } => {
                if value(&mut taken)?.as_integer()? != 0 {
                    let inside = Inside::While(start);
                    push(&mut self.current()?.blocks, Block { end, inside })?;
                } else {
                    self.jump(end)?;
                }
                Ok(Flow::Next)
            }
            Wants::Buffer(end) => {
                let size = value(&mut taken)?.as_integer()?;
                self.buffer(size, end)
            }
            Wants::VariablePackage(end) => {
                let count = usize::try_from(value(&mut taken)?.as_integer()?);
                let count = count.ok().filter(|&count| count <= MOST_ELEMENTS);
                self.wait(Wants::Package { end, count: count.ok_or(Error::BadIndex)? })?;
                Ok(Flow::Next)
            }
            Wants::Package { .. } => Err(Error::Malformed),
        }
    }

    fn buffer(&mut self, size: u64, end: usize) -> Result<Flow, Error> {
        let size = usize::try_from(size).ok().filter(|&size| size <= MOST_BYTES);
        let size = size.ok_or(Error::BadIndex)?;
        self.spend(size / 8)?;
        let at = self.current()?.at;
        let count = end.checked_sub(at).ok_or(Error::Malformed)?;
        let bytes = self.fetch(|code| {
            let given = code.bytes(count)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(size.max(count)).map_err(|_| Error::OutOfMemory)?;
            bytes.extend_from_slice(given);
            bytes.resize(size.max(count), 0);
            Ok(bytes)
        })?;
        Ok(Flow::Made(Value::Buffer(bytes)))
    }

    /// Break and Continue: leaves blocks up to that of the While.
    fn leave_loop(&mut self, again: bool) -> Result<Flow, Error> {
        let call = self.current()?;
        while let Some(block) = call.blocks.pop() {
            match block.inside {
                Inside::While(start) => {
                    call.at = if again { start } else { block.end };
                    if again {
                        self.wait(Wants::While { start, end: block.end })?;
                    }
                    return Ok(Flow::Next);
                }
                Inside::Scope(outside) => call.scope = outside,
                Inside::If | Inside::Else => {}
            }
        }
        Err(Error::Malformed)
    }
}

/// Most elements of a package, and bytes of a buffer.
const MOST_ELEMENTS: usize = 4096;
pub(crate) const MOST_BYTES: usize = 64 << 10;
