//! Loading tables and evaluating objects: what is done from outside.
//!
//! Loading a table is running it: its objects are made by operators. What cannot be run there
//! costs the block that it is in (a device, a scope), and nothing more.

use alloc::vec::Vec;

use crate::call::{Block, Call, Inside, Wants};
use crate::error::push;
use crate::field::Host;
use crate::machine::Machine;
use crate::namespace::{Kind, Namespace, NodeId};
use crate::value::{Frame, Name, Place};
use crate::{Aml, Error, Table, Value};

/// Steps that an evaluation may take, and the loading of a table for each byte that it has.
const STEPS: usize = 2_000_000;
const STEPS_PER_BYTE: usize = 200;
/// The "method" that a table is while it is loaded.
const LOADING: Frame = Frame(0);

/// A part of a table that could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it belongs to.
    pub scope: NodeId,
    /// Where in the table, behind its header.
    pub offset: usize,
    /// What was wrong.
    pub error: Error,
}

impl Aml {
    /// Loads the AML of a DSDT or SSDT, what stands behind its header, with the revision that
    /// the header of the DSDT names. What could not be loaded is told.
    pub fn load(&mut self, code: Vec<u8>, revision: u8, host: &mut dyn Host) -> Vec<Problem> {
        let (table, end) = (self.tables.len(), code.len());
        if push(&mut self.tables, Table { code, is_64_bits: revision >= 2 }).is_err() {
            return Vec::new();
        }
        let steps = STEPS.saturating_add(end.saturating_mul(STEPS_PER_BYTE));
        let mut machine = Machine::new(self, host, steps);
        let root = Call::new(table, 0, end, Namespace::ROOT, LOADING, 0);
        if push(&mut machine.calls, root).is_err() {
            return machine.problems;
        }
        while let Err(error) = machine.run() {
            let is_last = matches!(error, Error::TooLong | Error::OutOfMemory);
            if machine.leave_block(error).is_err() || is_last {
                break;
            }
        }
        machine.problems
    }

    /// The value of an object: of a method with these arguments, what it returns.
    ///
    /// # Errors
    /// As [`Error`] says. Objects that the method had changed before stay changed.
    pub fn evaluate(
        &mut self,
        node: NodeId,
        arguments: &[Value],
        host: &mut dyn Host,
    ) -> Result<Value, Error> {
        let method = match self.space.get(node).map(|node| &node.kind) {
            Some(Kind::Method(method)) => *method,
            _ => return Machine::new(self, host, STEPS).object_value(node),
        };
        let mut machine = Machine::new(self, host, STEPS);
        let mut given = Vec::new();
        for argument in arguments.iter().take(method.arguments) {
            push(&mut given, argument.clone())?;
        }
        machine.call(node, method, given)?;
        machine.run()
    }

    /// The value of the object called `name` in `scope`; `None` if there is none.
    ///
    /// # Errors
    /// As [`Aml::evaluate`].
    pub fn value_of(
        &mut self,
        scope: NodeId,
        name: &str,
        host: &mut dyn Host,
    ) -> Result<Option<Value>, Error> {
        let Some(node) = self.find(scope, name) else { return Ok(None) };
        self.evaluate(node, &[], host).map(Some)
    }

    /// The object that a value names: itself, or one whose name it is.
    ///
    /// # Errors
    /// `NotFound`, `BadType`.
    pub fn object(&self, value: &Value) -> Result<NodeId, Error> {
        match value {
            Value::Object(node) => Ok(*node),
            Value::Name(Name { scope, path }) => self.space.resolve(*scope, path),
            Value::Reference(Place::Object(node)) => Ok(*node),
            _ => Err(Error::BadType),
        }
    }
}

impl Machine<'_> {
    /// Whether a table is loaded, and this is not a method that it calls.
    pub(crate) fn is_loading(&self) -> bool {
        matches!(&self.calls[..], [call] if call.frame == LOADING)
    }

    /// Notes what could not be loaded.
    pub(crate) fn note(&mut self, error: Error) -> Result<(), Error> {
        let call = self.current()?;
        let problem = Problem { scope: call.scope, offset: call.at, error };
        push(&mut self.problems, problem)
    }

    /// After an error while a table is loaded: notes it, and leaves what it was in.
    ///
    /// # Errors
    /// There is no more of the table.
    fn leave_block(&mut self, error: Error) -> Result<(), Error> {
        while self.calls.len() > 1 {
            if let Some(call) = self.calls.pop() {
                self.aml.space.forget(call.nodes);
            }
        }
        self.note(error)?;
        let call = self.current()?;
        // A statement that has a length ends there.
        let end = call.pending.iter().find_map(|pending| match pending.wants {
            Wants::If(end)
            | Wants::While { end, .. }
            | Wants::Buffer(end)
            | Wants::VariablePackage(end)
            | Wants::Package { end, .. } => Some(end),
            _ => None,
        });
        call.pending.clear();
        let block = if end.is_some() { None } else { call.blocks.pop() };
        if let Some(Block { inside: Inside::Scope(outside), .. }) = block {
            call.scope = outside;
        }
        let end = end.or(block.map(|block| block.end)).unwrap_or(call.end);
        call.at = end;
        self.skip_else()
    }
}
