//! Which instructions this processor has, and which were selected.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::Backend;

/// What was selected; dot products only where the processor has them.
static SELECTED: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = u8::MAX;
const PORTABLE: u8 = Backend::Portable as u8;
const NEON: u8 = Backend::Neon as u8;
const DOTPROD: u8 = Backend::NeonDotprod as u8;

/// The backends that this processor can run, the fastest first.
pub(crate) fn available() -> &'static [Backend] {
    if has_dotprod() {
        &[Backend::NeonDotprod, Backend::Neon, Backend::Portable]
    } else {
        &[Backend::Neon, Backend::Portable]
    }
}

/// What shall be used: the fastest, unless another was selected.
#[inline]
pub(crate) fn selected() -> Backend {
    // Every answer gives the same bits, so that threads need no order.
    match SELECTED.load(Ordering::Relaxed) {
        DOTPROD => Backend::NeonDotprod,
        NEON => Backend::Neon,
        PORTABLE => Backend::Portable,
        _ => select_fastest(),
    }
}

/// The first selection, unless another thread makes one meanwhile.
#[cold]
fn select_fastest() -> Backend {
    let fastest = if has_dotprod() {
        Backend::NeonDotprod
    } else {
        Backend::Neon
    };
    let _ = SELECTED.compare_exchange(UNKNOWN, fastest as u8, Ordering::Relaxed, Ordering::Relaxed);
    fastest
}

/// Selects a backend, if this processor can run it.
#[cfg(feature = "write")]
pub(crate) fn select(backend: Backend) {
    if available().contains(&backend) {
        SELECTED.store(backend as u8, Ordering::Relaxed);
    }
}

/// Whether the build was told of dot products, or the system knows of them: programs can't ask the
/// processor. All of Apple's computers have them, and builds for those are told.
fn has_dotprod() -> bool {
    cfg!(target_feature = "dotprod") || system_has_dotprod()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn system_has_dotprod() -> bool {
    use core::ffi::c_ulong;

    unsafe extern "C" {
        // SAFETY: for every number it returns what the kernel left there for the process, or 0.
        safe fn getauxval(entry: c_ulong) -> c_ulong;
    }
    const AT_HWCAP: c_ulong = 16;
    const HWCAP_ASIMDDP: c_ulong = 1 << 20;
    getauxval(AT_HWCAP) & HWCAP_ASIMDDP != 0
}

#[cfg(windows)]
fn system_has_dotprod() -> bool {
    #[link(name = "kernel32")]
    unsafe extern "system" {
        // SAFETY: for every number it returns whether there is such a feature.
        safe fn IsProcessorFeaturePresent(feature: u32) -> i32;
    }
    const PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE: u32 = 43;
    IsProcessorFeaturePresent(PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE) != 0
}

#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
fn system_has_dotprod() -> bool {
    false
}
