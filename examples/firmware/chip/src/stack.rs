//! How much stack something takes: what it leaves of paint is what it has not used.

use core::ptr::with_exposed_provenance_mut;

use crate::stack_pointer;

/// Painted bytes, which a micro:bit has too. No work may need them all.
const PAINTED: usize = 6 * 1024;
const PAINT: u32 = 0xa5a5_5a5a;

/// Runs something and tells how many bytes of stack it took at most.
#[inline(never)]
pub fn peak_stack(work: impl FnOnce()) -> Option<usize> {
    let top = stack_pointer();
    let words = || (top - PAINTED..top).step_by(size_of::<u32>());
    for word in words() {
        // SAFETY: nothing is in use below the stack pointer, and there are no interrupts.
        unsafe { with_exposed_provenance_mut::<u32>(word).write_volatile(PAINT) };
    }
    call(work);
    // SAFETY: it is memory, all of it written before.
    let lowest = words()
        .find(|&word| unsafe { with_exposed_provenance_mut::<u32>(word).read_volatile() != PAINT });
    lowest.map(|lowest| top - lowest)
}

/// In a frame of its own, below the stack pointer that was read.
#[inline(never)]
fn call(work: impl FnOnce()) {
    work();
}
