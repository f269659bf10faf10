//! Chooses the device of tensors.

use anyhow::{Context, Result, bail};
use candle_core::Device;

use crate::config::DeviceKind;

/// The device to train on.
///
/// # Errors
/// If this build or this machine has no such device.
pub fn device(kind: DeviceKind) -> Result<Device> {
    match kind {
        DeviceKind::Cpu => Ok(Device::Cpu),
        DeviceKind::Cuda if cfg!(feature = "cuda") => {
            Device::new_cuda(0).context("can't use the first CUDA device")
        }
        DeviceKind::Cuda => bail!(
            "this charlet was built without CUDA: build it with --features cuda, or use --device cpu"
        ),
    }
}
