//! Values (ACPI 6.5, section 19.3.5), and places where they are.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::Error;
use crate::namespace::NodeId;
use crate::stream::Path;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing yet.
    Uninitialized,
    /// An integer.
    Integer(u64),
    /// Characters, which should be ASCII.
    String(Vec<u8>),
    /// Bytes.
    Buffer(Vec<u8>),
    /// Values.
    Package(Vec<Value>),
    /// An object.
    Object(NodeId),
    /// The name of an object, in a package.
    Name(Name),
    /// A place where a value is.
    Reference(Place),
}

/// A name in a package, with the scope that it is to be looked for in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub(crate) scope: NodeId,
    pub(crate) path: Path,
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: what is stored there is lost.
    #[doc(hidden)]
    Nowhere,
    #[doc(hidden)]
    Local(Frame, usize),
    #[doc(hidden)]
    Argument(Frame, usize),
    #[doc(hidden)]
    Object(NodeId),
    #[doc(hidden)]
    Element(Box<Place>, usize),
}

/// A call of a method: its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame(pub(crate) u64);

impl Value {
    /// The integer that it is, or that it is made into where one is wanted.
    ///
    /// # Errors
    /// `BadType`.
    pub fn as_integer(&self) -> Result<u64, Error> {
        match self {
            Self::Integer(value) => Ok(*value),
            Self::Buffer(bytes) if !bytes.is_empty() => {
                let bytes = bytes.iter().take(8).rev();
                Ok(bytes.fold(0, |value, &byte| value << 8 | u64::from(byte)))
            }
            Self::String(text) => {
                let digits = text.iter().map_while(|&byte| char::from(byte).to_digit(16));
                digits.take(16).try_fold(0u64, |value, digit| Ok(value << 4 | u64::from(digit)))
            }
            _ => Err(Error::BadType),
        }
    }

    /// The values of a package.
    ///
    /// # Errors
    /// `BadType`.
    pub fn as_package(&self) -> Result<&[Value], Error> {
        match self {
            Self::Package(values) => Ok(values),
            _ => Err(Error::BadType),
        }
    }

    /// The bytes of a buffer.
    ///
    /// # Errors
    /// `BadType`.
    pub fn as_buffer(&self) -> Result<&[u8], Error> {
        match self {
            Self::Buffer(bytes) => Ok(bytes),
            _ => Err(Error::BadType),
        }
    }

    /// What a copy of it costs, in steps. Packages do not lie deeply in each other.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::String(bytes) | Self::Buffer(bytes) => 1 + bytes.len() / 8,
            Self::Package(values) => {
                values.iter().fold(1, |sum, value| sum.saturating_add(value.weight()))
            }
            _ => 1,
        }
    }

    /// Whether packages lie in it more than `levels` deep.
    pub(crate) fn is_deeper_than(&self, levels: usize) -> bool {
        match (self, levels.checked_sub(1)) {
            (Self::Package(_), None) => true,
            (Self::Package(values), Some(rest)) => {
                values.iter().any(|value| value.is_deeper_than(rest))
            }
            _ => false,
        }
    }

    /// The same without what is gone: objects from the `nodes`th on, and places of `frame`.
    pub(crate) fn without(self, nodes: usize, frame: Frame) -> Self {
        let is_gone = match &self {
            Self::Object(id) => id.0 >= nodes,
            Self::Name(name) => name.scope.0 >= nodes,
            Self::Reference(place) => match place.base() {
                Place::Object(id) => id.0 >= nodes,
                Place::Local(of, _) | Place::Argument(of, _) => *of == frame,
                Place::Nowhere | Place::Element(..) => false,
            },
            _ => false,
        };
        match self {
            _ if is_gone => Self::Uninitialized,
            Self::Package(mut values) => {
                for value in &mut values {
                    let inner = core::mem::replace(value, Self::Uninitialized);
                    *value = inner.without(nodes, frame);
                }
                Self::Package(values)
            }
            other => other,
        }
    }
}

/// Packages may lie so deeply in each other: copies and drops of values recurse.
pub(crate) const DEEPEST: usize = 6;

impl Place {
    /// The variable or object that the place is in.
    pub(crate) fn base(&self) -> &Self {
        let mut at = self;
        while let Self::Element(inner, _) = at {
            at = inner;
        }
        at
    }

    /// How many elements of elements it is.
    pub(crate) fn depth(&self) -> usize {
        let mut at = self;
        let mut depth = 0;
        while let Self::Element(inner, _) = at {
            at = inner;
            depth += 1;
        }
        depth
    }
}

/// The number of an EISA id such as `PNP0A03`, in text, as AML has it (section 19.3.4).
pub(crate) fn eisa_id(text: &[u8; 7]) -> u64 {
    let [first, second, third, digits @ ..] = *text;
    let letter = |byte: u8| u32::from(byte & 0x1f);
    let letters = letter(first) << 10 | letter(second) << 5 | letter(third);
    let digits = digits.iter().map(|&byte| char::from(byte).to_digit(16).unwrap_or(0));
    let product = digits.fold(0, |value, digit| value << 4 | digit);
    u64::from((letters << 16 | product).swap_bytes())
}
