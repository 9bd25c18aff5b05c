//! The transport over PCI: [`PciTransport`] (VirtIO 1.2, section 4.1).

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use ::device::Device;
use base::registers::{ReadWrite, RegisterBlock};
use base::sync::SpinLock;
use memory::OutOfMemory;
use memory::kernel_space::{IoMem, RegisterArray, Registers};

use super::capabilities::{Region, Regions};
use super::interrupts;
use super::registers::{CommonConfig, Isr, Notify};
use crate::pci::{Bar, Function};
use crate::virtio::{
    Callbacks, Connection, DeviceType, Features, NO_VECTOR, QueueSetup, Status, Transport,
    VirtioError,
};

/// A device on PCI.
pub(super) struct PciTransport {
    device_type: DeviceType,
    /// The function. The device behind it does not keep it.
    function: Weak<Device>,
    /// Registers that show one of several things, whichever was selected: one user at a time.
    common: SpinLock<Registers<CommonConfig>>,
    isr: Registers<Isr>,
    /// Where to notify, by queue.
    notify: Vec<Registers<Notify>>,
    config: Option<Config>,
    /// The ranges that the registers are in.
    _bars: Vec<Bar>,
}

/// The device's own configuration, in units of each width.
struct Config {
    bytes: RegisterArray<ReadWrite<u8>>,
    words: Option<RegisterArray<ReadWrite<u16>>>,
    double_words: Option<RegisterArray<ReadWrite<u32>>>,
}

/// The ranges that were claimed so far.
struct Bars(Vec<Bar>);

impl Bars {
    /// The memory of `region`'s range, of which the region is a part.
    fn memory(&mut self, function: &Function, region: &Region) -> Result<Arc<IoMem>, VirtioError> {
        let index = usize::from(region.bar);
        let known = self.0.iter().position(|bar| bar.index() == index);
        let known = match known {
            Some(known) => known,
            None => {
                self.0.try_reserve(1).map_err(|_| OutOfMemory)?;
                self.0.push(function.claim_bar(index)?);
                self.0.len() - 1
            }
        };
        let bad = VirtioError::BadConfig { what: "registers that are not in memory" };
        let memory = self.0.get(known).and_then(Bar::memory).ok_or(bad)?;
        let end = u64::from(region.offset) + u64::from(region.bytes);
        if end > memory.len() as u64 {
            return Err(VirtioError::BadConfig { what: "registers beyond the end of their range" });
        }
        Ok(memory.clone())
    }

    /// The registers at the start of `region`.
    fn registers<L: RegisterBlock>(
        &mut self,
        function: &Function,
        region: &Region,
    ) -> Result<Registers<L>, VirtioError> {
        let memory = self.memory(function, region)?;
        if (region.bytes as usize) < size_of::<L>() {
            return Err(VirtioError::BadConfig { what: "a range that is too short" });
        }
        Ok(Registers::new(&memory, region.offset as usize)?)
    }
}

impl Config {
    fn new(memory: &Arc<IoMem>, region: &Region) -> Result<Option<Self>, VirtioError> {
        let (offset, bytes) = (region.offset as usize, region.bytes as usize);
        if bytes == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            bytes: RegisterArray::new(memory, offset, 1, bytes)?,
            words: units(memory, offset, bytes)?,
            double_words: units(memory, offset, bytes)?,
        }))
    }
}

/// All whole units of a width in a range; `None` if there are none.
fn units<L: RegisterBlock>(
    memory: &Arc<IoMem>,
    offset: usize,
    bytes: usize,
) -> Result<Option<RegisterArray<L>>, VirtioError> {
    match bytes / size_of::<L>() {
        0 => Ok(None),
        count => Ok(Some(RegisterArray::new(memory, offset, size_of::<L>(), count)?)),
    }
}

impl PciTransport {
    /// The transport to the device that `device`, a function, is.
    ///
    /// # Errors
    /// `Legacy`; `Bar`, `Registers` or `BadConfig` if its registers cannot be used.
    pub(super) fn new(
        device: &Arc<Device>,
        function: &Function,
        device_type: DeviceType,
    ) -> Result<Self, VirtioError> {
        let regions = Regions::find(function).ok_or(VirtioError::Legacy)?;
        let mut bars = Bars(Vec::new());
        let common = bars.registers::<CommonConfig>(function, &regions.common)?;
        let isr = bars.registers(function, &regions.isr)?;
        let config = match &regions.device {
            Some(region) => Config::new(&bars.memory(function, region)?, region)?,
            None => None,
        };
        let notify = notify_registers(&common, &bars.memory(function, &regions.notify)?, &regions)?;
        Ok(Self {
            device_type,
            function: Arc::downgrade(device),
            common: SpinLock::new("virtio registers", common),
            isr,
            notify,
            config,
            _bars: bars.0,
        })
    }
}

/// Where each queue's notifications go (section 4.1.4.4).
fn notify_registers(
    common: &CommonConfig,
    memory: &Arc<IoMem>,
    regions: &Regions,
) -> Result<Vec<Registers<Notify>>, VirtioError> {
    let mut all = Vec::new();
    let count = common.queue_count.read();
    all.try_reserve_exact(usize::from(count)).map_err(|_| OutOfMemory)?;
    for index in 0..count {
        common.queue_select.write(index);
        let place = u64::from(common.queue_notify_offset.read());
        let offset = place * u64::from(regions.notify_multiplier);
        if offset + size_of::<Notify>() as u64 > u64::from(regions.notify.bytes) {
            return Err(VirtioError::BadConfig { what: "notifications beyond their range" });
        }
        all.push(Registers::new(memory, (u64::from(regions.notify.offset) + offset) as usize)?);
    }
    Ok(all)
}

/// The unit at `offset` bytes.
fn at<L: RegisterBlock>(array: Option<&RegisterArray<L>>, offset: u16) -> Result<&L, VirtioError> {
    let (offset_bytes, width) = (usize::from(offset), size_of::<L>());
    let unit = array.filter(|_| offset_bytes.is_multiple_of(width));
    let unit = unit.and_then(|array| array.at(offset_bytes / width));
    unit.ok_or(VirtioError::NoConfig { offset })
}

impl Transport for PciTransport {
    fn device_type(&self) -> DeviceType {
        self.device_type
    }

    fn device_features(&self) -> Features {
        let common = self.common.lock();
        let half = |select| {
            common.device_feature_select.write(select);
            u64::from(common.device_feature.read())
        };
        Features::from_bits(half(0) | half(1) << 32)
    }

    fn set_driver_features(&self, features: Features) {
        let common = self.common.lock();
        for (select, half) in [(0, features.bits() as u32), (1, (features.bits() >> 32) as u32)] {
            common.driver_feature_select.write(select);
            common.driver_feature.write(half);
        }
    }

    fn status(&self) -> Status {
        Status::from_bits_retain(self.common.lock().status.read())
    }

    fn set_status(&self, status: Status) {
        self.common.lock().status.write(status.bits());
    }

    fn queue_count(&self) -> u16 {
        self.notify.len() as u16
    }

    fn queue_size(&self, index: u16) -> u16 {
        let common = self.common.lock();
        common.queue_select.write(index);
        common.queue_size.read()
    }

    fn enable_queue(&self, queue: &QueueSetup<'_>) -> Result<(), VirtioError> {
        let common = self.common.lock();
        common.queue_select.write(queue.index);
        common.queue_size.write(queue.layout.size().get());
        common.queue_vector.write(queue.vector);
        // It says so if it cannot (section 4.1.5.1.2).
        if queue.vector != NO_VECTOR && common.queue_vector.read() != queue.vector {
            return Err(VirtioError::VectorRefused);
        }
        let place = |offset: usize| queue.memory.address().as_u64() + offset as u64;
        common.descriptors.set(place(queue.layout.descriptors()));
        common.available.set(place(queue.layout.available()));
        common.used.set(place(queue.layout.used()));
        common.queue_enable.write(1);
        Ok(())
    }

    fn set_config_vector(&self, vector: u16) -> Result<(), VirtioError> {
        let common = self.common.lock();
        common.config_vector.write(vector);
        if vector != NO_VECTOR && common.config_vector.read() != vector {
            return Err(VirtioError::VectorRefused);
        }
        Ok(())
    }

    #[inline]
    fn notify(&self, index: u16) {
        if let Some(register) = self.notify.get(usize::from(index)) {
            register.write(index);
        }
    }

    fn config_generation(&self) -> u8 {
        self.common.lock().config_generation.read()
    }

    fn config8(&self, offset: u16) -> Result<u8, VirtioError> {
        at(self.config.as_ref().map(|config| &config.bytes), offset).map(ReadWrite::read)
    }

    fn config16(&self, offset: u16) -> Result<u16, VirtioError> {
        let words = self.config.as_ref().and_then(|config| config.words.as_ref());
        at(words, offset).map(ReadWrite::read)
    }

    fn config32(&self, offset: u16) -> Result<u32, VirtioError> {
        let double_words = self.config.as_ref().and_then(|config| config.double_words.as_ref());
        at(double_words, offset).map(ReadWrite::read)
    }

    fn set_config8(&self, offset: u16, value: u8) -> Result<(), VirtioError> {
        let bytes = self.config.as_ref().map(|config| &config.bytes);
        at(bytes, offset).map(|register| register.write(value))
    }

    fn set_config32(&self, offset: u16, value: u32) -> Result<(), VirtioError> {
        let double_words = self.config.as_ref().and_then(|config| config.double_words.as_ref());
        at(double_words, offset).map(|register| register.write(value))
    }

    fn connect(&self, owner: &str, callbacks: Callbacks) -> Result<Connection, VirtioError> {
        let gone = VirtioError::BadConfig { what: "the function is gone" };
        let device = self.function.upgrade().ok_or(gone)?;
        let function = device.identity::<Function>().ok_or(gone)?;
        let connected = interrupts::connect(function, owner, &self.isr, callbacks)?;
        // The interrupts go first, then the right to use memory.
        let guard = (connected.interrupts, function.enable_bus_master());
        Ok(Connection {
            guard: Box::new(guard),
            description: format!("{}", connected.kind),
            config_vector: connected.config_vector,
            queue_vectors: connected.queue_vectors,
        })
    }
}
