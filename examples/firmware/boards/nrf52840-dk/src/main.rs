//! nRF52840-DK (Cortex-M4F, 1 MiB of flash, 256 KiB of RAM): button 1 makes a name.
//!
//! Pins: P0.11 is button 1, P0.06 sends to the debugger, which is a serial port to the computer, at
//! 115200 baud. Nothing is wired.
//! Limits: there must be no SoftDevice: the program starts at 0.
//! To flash: `cargo run --release` in this folder, with probe-rs installed. See README.md.
#![no_std]
#![no_main]

use app::NameMaker;
use cortex_m_rt::entry;
use embassy_nrf::gpio::{Input, Pull};
use embassy_nrf::rng::Rng;
use embassy_nrf::uarte::{InterruptHandler, UarteTx};
use embassy_nrf::{bind_interrupts, peripherals};
use heapless::String;
use panic_halt as _;

bind_interrupts!(struct Interrupts {
    UARTE0 => InterruptHandler<peripherals::UARTE0>;
});

#[entry]
fn main() -> ! {
    let chip = embassy_nrf::init(Default::default());
    let mut names = NameMaker::new();
    let mut rng = Rng::new_blocking(chip.RNG);
    let mut random = || rng.blocking_next_u32();
    let button = Input::new(chip.P0_11, Pull::Up);
    // It begins with 115200 baud, 8N1.
    let mut serial = UarteTx::new(chip.UARTE0, Interrupts, chip.P0_06, Default::default());
    loop {
        let mut line = String::<64>::new();
        if names.print("", &mut random, &mut line).is_ok() {
            let _ = line.push_str("\r\n");
            let _ = serial.blocking_write(line.as_bytes());
        }
        for pressed in [false, true] {
            while button.is_low() != pressed {}
            // 20 ms: a button bounces.
            cortex_m::asm::delay(64_000_000 / 50);
        }
    }
}
