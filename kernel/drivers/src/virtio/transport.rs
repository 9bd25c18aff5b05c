//! How a device is reached, whatever it is plugged into: [`Transport`] (VirtIO 1.2, section 4).
//! `pci/` is one; the tests have one that is software.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use memory::dma::SharedDma;
use virtqueue::Layout;

use super::{DeviceType, Features, VirtioError};

bitflags::bitflags! {
    /// How far driver and device are with each other (section 2.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Status: u8 {
        /// The device was noticed.
        const ACKNOWLEDGE = 1;
        /// There is a driver for it.
        const DRIVER = 2;
        /// The driver is ready: the device may work.
        const DRIVER_OK = 4;
        /// The features are agreed upon; cleared by a device that does not.
        const FEATURES_OK = 8;
        /// The device has failed, and works again after a reset at best.
        const NEEDS_RESET = 64;
        /// The driver has given up.
        const FAILED = 128;
    }
}

/// No vector: what is not to interrupt by a message of its own.
pub const NO_VECTOR: u16 = 0xffff;

/// Called when a device has interrupted, in an interrupt handler.
pub type Callback = Arc<dyn Fn() + Send + Sync>;

/// What is done about a device's interrupts.
pub struct Callbacks {
    /// When its configuration has changed, or it has failed.
    pub config: Callback,
    /// When one of the queues has something used, by their order; with the CPU that is to be
    /// interrupted, if that matters.
    pub queues: Vec<(Callback, Option<u32>)>,
    /// How many interrupts the queues are to have at most; they then share them in turn.
    pub most_interrupts: usize,
}

/// A device that may interrupt and use memory. When this is dropped it can do neither any more,
/// whatever it tries, and no callback runs. The device should be reset before.
pub struct Connection {
    /// What owns both rights.
    pub guard: Box<dyn Any + Send + Sync>,
    /// How they come, in words.
    pub description: String,
    /// The vector for changes of the configuration, which the device is to be told, or
    /// [`NO_VECTOR`].
    pub config_vector: u16,
    /// The same of each queue.
    pub queue_vectors: Vec<u16>,
}

/// A queue, as the device is told of it.
pub struct QueueSetup<'a> {
    /// Its number.
    pub index: u16,
    /// Its parts in `memory`.
    pub layout: Layout,
    /// Where they are.
    pub memory: &'a Arc<SharedDma>,
    /// Its vector, or [`NO_VECTOR`].
    pub vector: u16,
}

/// The common functions of a device. The order in which they are to be called is in
/// `session.rs`; all but [`notify`](Transport::notify) by one at a time.
pub trait Transport: Send + Sync {
    /// What kind of device it is.
    fn device_type(&self) -> DeviceType;

    /// What it offers.
    fn device_features(&self) -> Features;

    /// Tells it what is taken.
    fn set_driver_features(&self, features: Features);

    /// Its status. All bits are set if it is not there any more.
    fn status(&self) -> Status;

    /// Sets its status. The empty one resets it, which is over when it reads as empty.
    fn set_status(&self, status: Status);

    /// How many queues it has.
    fn queue_count(&self) -> u16;

    /// The most descriptors that the queue may have; 0 if it is not there.
    fn queue_size(&self, index: u16) -> u16;

    /// Tells it of a queue, which it uses from `DRIVER_OK` on.
    ///
    /// # Errors
    /// `VectorRefused` if it does not take the vector.
    fn enable_queue(&self, queue: &QueueSetup<'_>) -> Result<(), VirtioError>;

    /// Tells it the vector for changes of the configuration.
    ///
    /// # Errors
    /// `VectorRefused` if it does not take it.
    fn set_config_vector(&self, vector: u16) -> Result<(), VirtioError>;

    /// Tells it that there is something new in the available ring of a queue. From any context.
    fn notify(&self, index: u16);

    /// Changes with each change of the configuration (section 2.5).
    fn config_generation(&self) -> u8;

    /// A byte of the configuration, at an offset in bytes.
    ///
    /// # Errors
    /// `NoConfig` if there are not as many.
    fn config8(&self, offset: u16) -> Result<u8, VirtioError>;

    /// 16 bits of the configuration.
    ///
    /// # Errors
    /// As [`config8`](Transport::config8).
    fn config16(&self, offset: u16) -> Result<u16, VirtioError>;

    /// 32 bits of the configuration.
    ///
    /// # Errors
    /// As [`config8`](Transport::config8).
    fn config32(&self, offset: u16) -> Result<u32, VirtioError>;

    /// Sets a byte of the configuration.
    ///
    /// # Errors
    /// As [`config8`](Transport::config8).
    fn set_config8(&self, offset: u16, value: u8) -> Result<(), VirtioError>;

    /// Sets 32 bits of the configuration.
    ///
    /// # Errors
    /// As [`config8`](Transport::config8).
    fn set_config32(&self, offset: u16, value: u32) -> Result<(), VirtioError>;

    /// Connects the device's interrupts, for `owner`, and lets it use memory.
    ///
    /// # Errors
    /// `Interrupts` if there is no way.
    fn connect(&self, owner: &str, callbacks: Callbacks) -> Result<Connection, VirtioError>;
}
