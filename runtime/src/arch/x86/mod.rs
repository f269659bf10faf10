//! AVX2 and AVX-512, on desktops whose processor has them.
//!
//! Every test of `arch` runs each backend that the machine has. A machine without VNNI can't run that
//! part, and nothing stands in for it: the tests there check AVX2 and the portable code only.

pub(crate) mod avx2;
pub(crate) mod avx512;
mod walk;

use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicU8, Ordering};

use super::Backend;

/// The backend that was selected, and the best that the processor can run: never one whose instructions
/// it doesn't have.
static SELECTED: AtomicU8 = AtomicU8::new(UNKNOWN);
static BEST: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = u8::MAX;
const PORTABLE: u8 = Backend::Portable as u8;
const AVX2: u8 = Backend::Avx2 as u8;
const AVX512: u8 = Backend::Avx512 as u8;

/// The backend that shall be used: the best, unless another was selected.
#[inline]
pub(crate) fn selected() -> Backend {
    // Every answer gives the same bits, so that threads need no order.
    match SELECTED.load(Ordering::Relaxed) {
        AVX512 => Backend::Avx512,
        AVX2 => Backend::Avx2,
        PORTABLE => Backend::Portable,
        _ => select_best(),
    }
}

/// The first selection, unless another thread makes one meanwhile.
#[cold]
fn select_best() -> Backend {
    let best = available().first().copied().unwrap_or(Backend::Portable);
    let _ = SELECTED.compare_exchange(UNKNOWN, best as u8, Ordering::Relaxed, Ordering::Relaxed);
    best
}

/// Selects a backend, if the processor can run it.
#[cfg(feature = "write")]
pub(crate) fn select(backend: Backend) {
    if available().contains(&backend) {
        SELECTED.store(backend as u8, Ordering::Relaxed);
    }
}

/// The backends that this processor can run, the fastest first.
pub(crate) fn available() -> &'static [Backend] {
    // Virtual machines take microseconds to tell what their processor is.
    if BEST.load(Ordering::Relaxed) == UNKNOWN {
        BEST.store(best() as u8, Ordering::Relaxed);
    }
    match BEST.load(Ordering::Relaxed) {
        AVX512 => &[Backend::Avx512, Backend::Avx2, Backend::Portable],
        AVX2 => &[Backend::Avx2, Backend::Portable],
        _ => &[Backend::Portable],
    }
}

cpufeatures::new!(has_avx2, "avx2");
cpufeatures::new!(has_avx512, "avx512f", "avx512bw", "avx512vl");

/// Asks the processor, and whether the system keeps its registers.
fn best() -> Backend {
    /// Where `cpuid` tells of VNNI, which `cpufeatures` doesn't know: a bit of ecx.
    const LEAF: u32 = 7;
    const VNNI: u32 = 1 << 11;
    if !has_avx2::get() {
        Backend::Portable
    } else if has_avx512::get() && __cpuid_count(LEAF, 0).ecx & VNNI != 0 {
        Backend::Avx512
    } else {
        Backend::Avx2
    }
}
