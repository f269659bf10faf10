//! Raspberry Pi Pico 2 (RP2350, Cortex-M33, 4 MiB of flash, 520 KiB of RAM): a key makes a name.
//!
//! Pins: none, but the USB port. It is a serial port to the computer; the letters that one packet
//! brings, a key or a pasted line, begin the name; Enter alone leaves the beginning open.
//! Limits: letters from a to z, else "?" comes. While a name is made, some 50 ms, USB waits.
//! To flash: `cargo run --release` in this folder while BOOTSEL is held. See README.md.
#![no_std]
#![no_main]

use app::NameMaker;
use embassy_executor::Spawner;
use embassy_rp::bind_interrupts;
use embassy_rp::peripherals::{TRNG, USB};
use embassy_rp::trng::{self, Trng};
use embassy_rp::usb::{self, Driver};
use panic_halt as _;

bind_interrupts!(struct Interrupts {
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
    USBCTRL_IRQ => usb::InterruptHandler<USB>;
});

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    let mut names = NameMaker::new();
    let mut trng = Trng::new(chip.TRNG, Interrupts, Default::default());
    let mut random = || trng.blocking_next_u32();
    let driver = Driver::new(chip.USB, Interrupts);
    let mut port = usb_serial::Memory::new();
    usb_serial::answer(driver, &mut port, |beginning, line| {
        names.print(beginning, &mut random, line)
    })
    .await;
}
