//! Which instructions compute a step.

use core::fmt;

#[cfg(kernel = "neon")]
use super::aarch64;
#[cfg(target_arch = "x86_64")]
use super::x86;
#[cfg(feature = "write")]
use crate::error::Error;

/// The instructions that a step is computed with. All give the same bits.
///
/// A build for a microcontroller or for WebAssembly has one, which was picked when it was compiled.
/// On x86-64 and arm64 the best is picked when the program runs.
///
/// ```
/// use charlet::Backend;
///
/// assert!(Backend::available().contains(&Backend::current()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Backend {
    /// Safe Rust for any processor: the reference for all others.
    Portable,
    /// AVX2, on x86-64.
    Avx2,
    /// AVX-512 with VNNI, on x86-64.
    Avx512,
    /// NEON, on arm64.
    Neon,
    /// NEON with its dot products, on arm64.
    NeonDotprod,
    /// The SIMD of WebAssembly.
    Simd128,
    /// Assembly for Armv6-M: Cortex-M0, M0+ and M23.
    Armv6M,
    /// Assembly for Armv7-M: Cortex-M3, and cores without DSP instructions.
    Armv7M,
    /// Assembly for Armv7E-M: Cortex-M4, M7, M33, and other cores with DSP instructions.
    Armv7EM,
    /// Assembly for RV32IMC, unless charlet is optimized for size: ESP32-C3 and C6, the Hazard3 cores of
    /// RP2350, and others.
    Riscv32,
}

impl Backend {
    /// What a build has that can't pick its backend when it runs.
    #[cfg(not(any(target_arch = "x86_64", kernel = "neon")))]
    const BUILT: Self = if cfg!(kernel = "armv6m") {
        Self::Armv6M
    } else if cfg!(kernel = "armv7m") {
        Self::Armv7M
    } else if cfg!(kernel = "armv7em") {
        Self::Armv7EM
    } else if cfg!(kernel = "riscv") {
        Self::Riscv32
    } else if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) {
        Self::Simd128
    } else {
        Self::Portable
    };

    /// The backends that this build has and this processor can run, the fastest first.
    pub fn available() -> &'static [Self] {
        #[cfg(target_arch = "x86_64")]
        return x86::available();
        #[cfg(kernel = "neon")]
        return aarch64::available();
        #[cfg(not(any(target_arch = "x86_64", kernel = "neon")))]
        &[Self::BUILT]
    }

    /// The backend of the next step.
    pub fn current() -> Self {
        #[cfg(target_arch = "x86_64")]
        return x86::selected();
        #[cfg(kernel = "neon")]
        return aarch64::selected();
        #[cfg(not(any(target_arch = "x86_64", kernel = "neon")))]
        Self::BUILT
    }

    /// Makes this the backend of the whole process, for measurements and tests. Steps that other
    /// threads are taking may be finished by either, which changes no bit of them.
    ///
    /// # Errors
    /// [`Error::UnavailableBackend`] if it isn't [`available`](Self::available).
    #[cfg(feature = "write")]
    pub fn select(self) -> Result<(), Error> {
        if !Self::available().contains(&self) {
            return Err(Error::UnavailableBackend);
        }
        #[cfg(target_arch = "x86_64")]
        x86::select(self);
        #[cfg(kernel = "neon")]
        aarch64::select(self);
        Ok(())
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
            Self::NeonDotprod => "neon-dotprod",
            Self::Simd128 => "simd128",
            Self::Armv6M => "armv6m",
            Self::Armv7M => "armv7m",
            Self::Armv7EM => "armv7em",
            Self::Riscv32 => "riscv32",
        })
    }
}
