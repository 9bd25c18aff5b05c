//! What operators do with their operands (ACPI 6.5, section 19.6).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::call::{Taken, value};
use crate::error::push;
use crate::machine::{MOST_BYTES, Machine};
use crate::namespace::{Kind, NodeId};
use crate::operand::op;
use crate::value::{DEEPEST, Name, Place};
use crate::{Error, Value};

/// The next operand, a place; a value that is none is nowhere else.
fn place(taken: &mut impl Iterator<Item = Taken>) -> Result<Place, Error> {
    match taken.next() {
        Some(Taken::Place(place)) => Ok(place),
        _ => Err(Error::BadType),
    }
}

impl Machine<'_> {
    /// Carries out an operator with fixed operands.
    pub(crate) fn apply(
        &mut self,
        code: u16,
        taken: &mut impl Iterator<Item = Taken>,
    ) -> Result<Value, Error> {
        match code {
            op::STORE | op::COPY => {
                let value = value(taken)?;
                self.store_copy(&place(taken)?, value)
            }
            op::REFERENCE => Ok(Value::Reference(place(taken)?)),
            op::CONDITIONAL_REFERENCE => self.conditional_reference(taken),
            op::DEREFERENCE => {
                let value = value(taken)?;
                self.dereference(value)
            }
            op::INDEX => {
                let base = match taken.next() {
                    Some(Taken::Place(place)) => place,
                    _ => return Err(Error::BadType),
                };
                let index = self.integer(taken)?;
                let index = usize::try_from(index).map_err(|_| Error::BadIndex)?;
                let element = self.element_of(base, index)?;
                self.store(&place(taken)?, Value::Reference(element.clone()))?;
                Ok(Value::Reference(element))
            }
            op::SIZE_OF => {
                let place = place(taken)?;
                let size = match self.load(&place)? {
                    Value::Buffer(bytes) | Value::String(bytes) => bytes.len(),
                    Value::Package(values) => values.len(),
                    _ => return Err(Error::BadType),
                };
                Ok(Value::Integer(size as u64))
            }
            op::OBJECT_TYPE => {
                let place = place(taken)?;
                self.object_type(&place).map(Value::Integer)
            }
            op::INCREMENT | op::DECREMENT => {
                let place = place(taken)?;
                let old = self.load(&place)?.as_integer()?;
                let new =
                    if code == op::INCREMENT { old.wrapping_add(1) } else { old.wrapping_sub(1) };
                self.store_integer(&place, new)
            }
            op::DIVIDE => {
                let (dividend, divisor) = (self.integer(taken)?, self.integer(taken)?);
                let quotient = dividend.checked_div(divisor).ok_or(Error::DivideByZero)?;
                self.store_integer(&place(taken)?, dividend % divisor)?;
                self.store_integer(&place(taken)?, quotient)
            }
            op::NOT | op::FIND_SET_LEFT | op::FIND_SET_RIGHT | op::TO_INTEGER => {
                let operand = self.integer(taken)?;
                let result = match code {
                    op::NOT => !operand,
                    op::TO_INTEGER => operand,
                    op::FIND_SET_LEFT => u64::from(u64::BITS - operand.leading_zeros()),
                    _ if operand == 0 => 0,
                    _ => u64::from(operand.trailing_zeros()) + 1,
                };
                self.store_integer(&place(taken)?, result)
            }
            op::TO_BUFFER => {
                let Value::Buffer(bytes) = value(taken)? else { return Err(Error::BadType) };
                self.store_copy(&place(taken)?, Value::Buffer(bytes))
            }
            op::CONCATENATE => self.concatenate(taken),
            op::CONCATENATE_TEMPLATES => {
                let (Value::Buffer(mut all), Value::Buffer(second)) =
                    (value(taken)?, value(taken)?)
                else {
                    return Err(Error::BadType);
                };
                // The first one's end tag, of two bytes, goes.
                all.truncate(all.len().checked_sub(2).ok_or(Error::BadIndex)?);
                let made = self.joined(all, &second)?;
                self.store_copy(&place(taken)?, Value::Buffer(made))
            }
            op::LOGICAL_NOT => Ok(truth(self.integer(taken)? == 0)),
            op::LOGICAL_AND | op::LOGICAL_OR => {
                let (left, right) = (self.integer(taken)? != 0, self.integer(taken)? != 0);
                Ok(truth(if code == op::LOGICAL_AND { left && right } else { left || right }))
            }
            op::EQUAL | op::GREATER | op::LESS => self.compare(code, taken),
            op::NOTHING | op::BREAK_POINT => Ok(Value::Uninitialized),
            op::REVISION => Ok(Value::Integer(2)),
            // Nobody else runs.
            op::ACQUIRE => Ok(Value::Integer(0)),
            op::RELEASE => Ok(Value::Uninitialized),
            // Nobody is told.
            op::NOTIFY => Ok(Value::Uninitialized),
            _ if is_arithmetic(code) => {
                let (left, right) = (self.integer(taken)?, self.integer(taken)?);
                let result = arithmetic(code, left, right)?;
                self.store_integer(&place(taken)?, result)
            }
            _ => self.make(code, taken).map(|()| Value::Uninitialized),
        }
    }

    /// The next operand, as an integer.
    pub(crate) fn integer(
        &mut self,
        taken: &mut impl Iterator<Item = Taken>,
    ) -> Result<u64, Error> {
        let value = value(taken)?;
        match value {
            Value::Reference(_) => self.dereference(value)?.as_integer(),
            other => other.as_integer(),
        }
    }

    /// An integer cut to the width that this table's integers have.
    fn cut(&self, integer: u64) -> u64 {
        if self.is_64_bits() { integer } else { integer & u64::from(u32::MAX) }
    }

    fn store_integer(&mut self, place: &Place, integer: u64) -> Result<Value, Error> {
        let value = Value::Integer(self.cut(integer));
        self.store(place, value.clone())?;
        Ok(value)
    }

    fn conditional_reference(
        &mut self,
        taken: &mut impl Iterator<Item = Taken>,
    ) -> Result<Value, Error> {
        match taken.next() {
            Some(Taken::Place(found)) => {
                self.store(&place(taken)?, Value::Reference(found))?;
                Ok(truth(true))
            }
            Some(Taken::Path(_)) => Ok(truth(false)),
            _ => Err(Error::Malformed),
        }
    }

    fn dereference(&mut self, value: Value) -> Result<Value, Error> {
        match value {
            Value::Reference(place) => self.load(&place),
            Value::Object(node) => self.object_value(node),
            Value::Name(Name { scope, path }) => {
                let node = self.aml.space.resolve(scope, &path)?;
                self.object_value(node)
            }
            _ => Err(Error::BadType),
        }
    }

    fn object_type(&mut self, place: &Place) -> Result<u64, Error> {
        // Section 19.6.97.
        if let Place::Object(node) = place {
            let kind = self.aml.space.get(*node).map(|node| &node.kind);
            match kind {
                Some(Kind::Device) => return Ok(6),
                Some(Kind::Method(_) | Kind::Interfaces) => return Ok(8),
                Some(Kind::Field(_)) => return Ok(5),
                Some(Kind::Region(_)) => return Ok(10),
                Some(Kind::BufferField(_)) => return Ok(14),
                Some(Kind::Scope | Kind::Opaque) => return Ok(0),
                _ => {}
            }
        }
        Ok(match self.load(place)? {
            Value::Integer(_) => 1,
            Value::String(_) => 2,
            Value::Buffer(_) => 3,
            Value::Package(_) => 4,
            _ => 0,
        })
    }

    /// Equal, greater or less: of integers, or of strings and buffers byte by byte. The left
    /// one says which.
    fn compare(
        &mut self,
        code: u16,
        taken: &mut impl Iterator<Item = Taken>,
    ) -> Result<Value, Error> {
        let (left, right) = (value(taken)?, value(taken)?);
        let order = match (&left, &right) {
            (Value::String(left), Value::String(right))
            | (Value::Buffer(left), Value::Buffer(right)) => left.cmp(right),
            _ => {
                let mut integer = |value| match value {
                    Value::Reference(_) => self.dereference(value)?.as_integer(),
                    other => other.as_integer(),
                };
                integer(left)?.cmp(&integer(right)?)
            }
        };
        Ok(truth(match code {
            op::EQUAL => order.is_eq(),
            op::GREATER => order.is_gt(),
            _ => order.is_lt(),
        }))
    }

    /// Of buffers or strings; of integers it makes a buffer.
    fn concatenate(&mut self, taken: &mut impl Iterator<Item = Taken>) -> Result<Value, Error> {
        let (left, right) = (value(taken)?, value(taken)?);
        let is_string = matches!(left, Value::String(_));
        let width = if self.is_64_bits() { 8 } else { 4 };
        let mut all = Vec::new();
        for one in [left, right] {
            let bytes = match one {
                Value::String(bytes) if is_string => bytes,
                Value::Buffer(bytes) if !is_string => bytes,
                Value::Integer(integer) if !is_string => {
                    let mut bytes = Vec::new();
                    for byte in integer.to_le_bytes().into_iter().take(width) {
                        push(&mut bytes, byte)?;
                    }
                    bytes
                }
                _ => return Err(Error::BadType),
            };
            all = self.joined(all, &bytes)?;
        }
        let made = if is_string { Value::String(all) } else { Value::Buffer(all) };
        self.store_copy(&place(taken)?, made)
    }

    /// `first` with `second` behind it.
    fn joined(&mut self, mut first: Vec<u8>, second: &[u8]) -> Result<Vec<u8>, Error> {
        self.spend((first.len() + second.len()) / 8)?;
        if first.len() + second.len() > MOST_BYTES {
            return Err(Error::BadIndex);
        }
        first.try_reserve(second.len()).map_err(|_| Error::OutOfMemory)?;
        first.extend_from_slice(second);
        Ok(first)
    }

    /// Stores a copy of a value; the value.
    fn store_copy(&mut self, place: &Place, value: Value) -> Result<Value, Error> {
        let copy = self.copy(&value)?;
        self.store(place, copy)?;
        Ok(value)
    }

    /// The place of an element of what is at `base`.
    fn element_of(&mut self, base: Place, index: usize) -> Result<Place, Error> {
        // A variable may hold the place of what is meant.
        let mut base = base;
        for _ in 0..DEEPEST {
            match self.look(&base)? {
                Some(Value::Reference(inner)) => base = inner.clone(),
                _ => break,
            }
        }
        let len = match self.look(&base)? {
            Some(Value::Package(values)) => values.len(),
            Some(Value::Buffer(bytes) | Value::String(bytes)) => bytes.len(),
            _ => return Err(Error::BadType),
        };
        if index >= len {
            return Err(Error::BadIndex);
        }
        if base.depth() >= DEEPEST {
            return Err(Error::TooDeep);
        }
        Ok(Place::Element(Box::new(base), index))
    }

    /// The value at a place, if it lies there as such: not of a field, or of a byte.
    fn look(&self, place: &Place) -> Result<Option<&Value>, Error> {
        let mut path = [0; DEEPEST + 1];
        let depth = indices(place, &mut path)?;
        let base = match place.base() {
            Place::Nowhere => None,
            Place::Local(frame, index) => {
                let call = self.calls.iter().find(|call| call.frame == *frame);
                Some(call.and_then(|call| call.locals.get(*index)).ok_or(Error::BadType)?)
            }
            Place::Argument(frame, index) => {
                let call = self.calls.iter().find(|call| call.frame == *frame);
                Some(call.and_then(|call| call.arguments.get(*index)).ok_or(Error::BadType)?)
            }
            Place::Object(node) => match self.aml.space.get(*node).map(|node| &node.kind) {
                Some(Kind::Value(value)) => Some(value),
                _ => None,
            },
            Place::Element(..) => return Err(Error::Malformed),
        };
        let path = path.get(..depth).unwrap_or_default();
        Ok(path
            .iter()
            .rev()
            .try_fold(base, |value, &index| match value {
                Some(Value::Package(values)) => Some(values.get(index)),
                _ => None,
            })
            .flatten())
    }

    /// The same, to be changed.
    fn look_mut(&mut self, place: &Place) -> Result<&mut Value, Error> {
        let mut path = [0; DEEPEST + 1];
        let depth = indices(place, &mut path)?;
        let base = match place.base() {
            Place::Local(frame, index) => {
                let call = self.calls.iter_mut().find(|call| call.frame == *frame);
                call.and_then(|call| call.locals.get_mut(*index))
            }
            Place::Argument(frame, index) => {
                let call = self.calls.iter_mut().find(|call| call.frame == *frame);
                call.and_then(|call| call.arguments.get_mut(*index))
            }
            Place::Object(node) => match self.aml.space.get_mut(*node).map(|node| &mut node.kind) {
                Some(Kind::Value(value)) => Some(value),
                _ => None,
            },
            Place::Nowhere | Place::Element(..) => None,
        };
        let path = path.get(..depth).unwrap_or_default();
        let found =
            path.iter().rev().try_fold(base.ok_or(Error::BadType)?, |value, &index| match value {
                Value::Package(values) => values.get_mut(index),
                _ => None,
            });
        found.ok_or(Error::BadIndex)
    }

    /// The value at a place.
    pub(crate) fn load(&mut self, place: &Place) -> Result<Value, Error> {
        if let Place::Object(node) = place {
            return self.object_value(*node);
        }
        if let Some(value) = self.look(place)? {
            let value = value.clone();
            self.spend(value.weight())?;
            return Ok(value);
        }
        // A byte of a buffer or a string.
        let Place::Element(base, index) = place else { return Err(Error::BadType) };
        match self.look(base)? {
            Some(Value::Buffer(bytes) | Value::String(bytes)) => {
                let byte = bytes.get(*index).ok_or(Error::BadIndex)?;
                Ok(Value::Integer(u64::from(*byte)))
            }
            _ => Err(Error::BadType),
        }
    }

    /// Puts a value into a place.
    pub(crate) fn store(&mut self, place: &Place, value: Value) -> Result<(), Error> {
        match place {
            Place::Nowhere => Ok(()),
            Place::Object(node) => self.store_object(*node, value),
            Place::Local(..) => {
                *self.look_mut(place)? = value;
                Ok(())
            }
            Place::Argument(..) => match self.look(place)? {
                // An argument that is a place stands for what is there.
                Some(Value::Reference(inner)) => {
                    let inner = inner.clone();
                    if matches!(inner.base(), Place::Argument(..)) {
                        return Err(Error::Unsupported(op::STORE));
                    }
                    self.store(&inner, value)
                }
                _ => {
                    *self.look_mut(place)? = value;
                    Ok(())
                }
            },
            Place::Element(base, index) => {
                if let Ok(Value::Buffer(bytes) | Value::String(bytes)) = self.look_mut(base) {
                    let byte = bytes.get_mut(*index).ok_or(Error::BadIndex)?;
                    *byte = value.as_integer()? as u8;
                    return Ok(());
                }
                if value.is_deeper_than(DEEPEST - place.depth().min(DEEPEST)) {
                    return Err(Error::TooDeep);
                }
                *self.look_mut(place)? = value;
                Ok(())
            }
        }
    }

    fn store_object(&mut self, node: NodeId, value: Value) -> Result<(), Error> {
        // Displays show what is written there, and nothing else comes of it.
        let is_shown = self.is_of_diagnostic_port(node);
        match self.aml.space.get_mut(node).map(|node| &mut node.kind) {
            Some(Kind::Value(old)) => {
                // What is stored takes the type of an integer or a buffer that is there.
                *old = match (&old, value) {
                    (Value::Integer(_), value) => Value::Integer(value.as_integer()?),
                    (_, value) => value,
                };
                Ok(())
            }
            Some(Kind::BufferField(_)) => self.write_buffer_field(node, value.as_integer()?),
            Some(Kind::Field(_)) if is_shown => Ok(()),
            Some(Kind::Field(_)) => Err(Error::Effect),
            _ => Err(Error::BadType),
        }
    }

    /// The value of an object that is no method.
    pub(crate) fn object_value(&mut self, node: NodeId) -> Result<Value, Error> {
        match self.aml.space.get(node).map(|node| &node.kind) {
            Some(Kind::Value(value)) => {
                let value = value.clone();
                self.spend(value.weight())?;
                Ok(value)
            }
            Some(Kind::Field(_)) => self.read_field(node).map(Value::Integer),
            Some(Kind::BufferField(_)) => self.read_buffer_field(node).map(Value::Integer),
            Some(Kind::Opaque) => Err(Error::NotReadable),
            Some(_) => Ok(Value::Object(node)),
            None => Err(Error::BadType),
        }
    }
}

/// The indices of an element of elements, the innermost first; how many.
fn indices(place: &Place, to: &mut [usize; DEEPEST + 1]) -> Result<usize, Error> {
    let mut at = place;
    let mut depth = 0;
    while let Place::Element(inner, index) = at {
        *to.get_mut(depth).ok_or(Error::TooDeep)? = *index;
        depth += 1;
        at = inner;
    }
    Ok(depth)
}

fn truth(is: bool) -> Value {
    Value::Integer(if is { u64::MAX } else { 0 })
}

fn is_arithmetic(code: u16) -> bool {
    matches!(
        code,
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
    )
}

fn arithmetic(code: u16, left: u64, right: u64) -> Result<u64, Error> {
    let count = u32::try_from(right).unwrap_or(u32::MAX);
    Ok(match code {
        op::ADD => left.wrapping_add(right),
        op::SUBTRACT => left.wrapping_sub(right),
        op::MULTIPLY => left.wrapping_mul(right),
        op::SHIFT_LEFT => left.checked_shl(count).unwrap_or(0),
        op::SHIFT_RIGHT => left.checked_shr(count).unwrap_or(0),
        op::AND => left & right,
        op::NAND => !(left & right),
        op::OR => left | right,
        op::NOR => !(left | right),
        op::XOR => left ^ right,
        op::MODULO => left.checked_rem(right).ok_or(Error::DivideByZero)?,
        _ => return Err(Error::Unsupported(code)),
    })
}
