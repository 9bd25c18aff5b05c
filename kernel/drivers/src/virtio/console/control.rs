//! What driver and device tell each other of ports (VirtIO 1.2, section 5.3.6.2): [`Message`].

use super::port::Label;

/// Bytes of a message without what may follow it.
pub(super) const BYTES: usize = 8;
/// Most bytes of a message: one that names a port.
pub(super) const MOST_BYTES: usize = 128;

/// Something that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The driver knows the messages.
    DeviceReady,
    /// The device has a new port.
    PortAdd,
    /// The device has the port no more.
    PortRemove,
    /// The driver has made a port of it; or could not.
    PortReady(bool),
    /// The port is a console.
    ConsolePort,
    /// Columns and rows of a console.
    Resize(u16, u16),
    /// The other side has opened the port, or closed it.
    PortOpen(bool),
    /// The port has a name.
    PortName(Label),
}

/// A message about a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Which port; of no meaning for [`Event::DeviceReady`].
    pub(super) port: u32,
    /// What is told.
    pub(super) event: Event,
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|two| u16::from_le_bytes(*two))
}

impl Message {
    /// The message in `bytes`; `None` if it is none that a device sends.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let port = u32::from_le_bytes(*bytes.first_chunk()?);
        let (event, value) = (word(bytes, 4)?, word(bytes, 6)?);
        let event = match event {
            1 => Event::PortAdd,
            2 => Event::PortRemove,
            4 => Event::ConsolePort,
            5 => Event::Resize(word(bytes, BYTES)?, word(bytes, BYTES + 2)?),
            6 => Event::PortOpen(value != 0),
            7 => {
                let name = bytes.get(BYTES..)?;
                let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
                let name = core::str::from_utf8(name.get(..end)?).ok()?;
                Event::PortName(Label::from(name).ok()?)
            }
            _ => return None,
        };
        Some(Self { port, event })
    }

    /// The bytes of a message that a driver sends; `None` if it is none.
    pub(super) fn encode(&self) -> Option<[u8; BYTES]> {
        let (event, value): (u16, bool) = match self.event {
            Event::DeviceReady => (0, true),
            Event::PortReady(value) => (3, value),
            Event::PortOpen(value) => (6, value),
            _ => return None,
        };
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&self.port.to_le_bytes());
        bytes[4..6].copy_from_slice(&event.to_le_bytes());
        bytes[6] = value.into();
        Some(bytes)
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn messages_of_ports() {
    let decode = |bytes: &[u8]| Message::decode(bytes);
    let message = |port, event| Some(Message { port, event });
    assert_eq!(decode(&[3, 0, 0, 0, 1, 0, 0, 0]), message(3, Event::PortAdd));
    assert_eq!(decode(&[3, 1, 0, 0, 6, 0, 1, 0]), message(0x103, Event::PortOpen(true)));
    let resize = [0, 0, 0, 0, 5, 0, 0, 0, 80, 0, 25, 0];
    assert_eq!(decode(&resize), message(0, Event::Resize(80, 25)));
    assert_eq!(decode(&resize[..11]), None);
    let named = message(1, Event::PortName(Label::from("org.x").expect("it fits")));
    assert_eq!(decode(b"\x01\0\0\0\x07\0\x01\0org.x"), named);
    assert_eq!(decode(b"\x01\0\0\0\x07\0\x01\0org.x\0\0"), named);
    assert_eq!(decode(b"\x01\0\0\0\x07\0\x01\0\xff\xfe"), None);
    assert_eq!(decode(b"\x01\0\0\0\x09\0\x01\0"), None);
    assert_eq!(decode(&[1, 2, 3]), None);
    let open = Message { port: 2, event: Event::PortOpen(true) };
    assert_eq!(open.encode(), Some([2, 0, 0, 0, 6, 0, 1, 0]));
    assert_eq!(Message { port: 2, event: Event::PortAdd }.encode(), None);
}
