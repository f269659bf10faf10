//! Raspberry Pi Pico (RP2040, Cortex-M0+, 2 MiB of flash, 264 KiB of RAM): a key makes a name.
//!
//! Pins: none, but the USB port. It is a serial port to the computer; the letters that one packet
//! brings, a key or a pasted line, begin the name; Enter alone leaves the beginning open.
//! Limits: letters from a to z, else "?" comes. While a name is made, some 50 ms, USB waits.
//! To flash: `cargo run --release` in this folder while BOOTSEL is held. See README.md.
#![no_std]
#![no_main]

use app::NameMaker;
use charlet::Rng;
use embassy_executor::Spawner;
use embassy_rp::bind_interrupts;
use embassy_rp::clocks::RoscRng;
use embassy_rp::peripherals::USB;
use embassy_rp::usb::{Driver, InterruptHandler};
use panic_halt as _;

bind_interrupts!(struct Interrupts {
    USBCTRL_IRQ => InterruptHandler<USB>;
});

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    let mut names = NameMaker::new();
    let driver = Driver::new(chip.USB, Interrupts);
    let mut port = usb_serial::Memory::new();
    usb_serial::answer(driver, &mut port, |beginning, line| {
        // The oscillator's bits come faster than they change: they make a seed, no more.
        let mut random = Rng::from_seed(RoscRng.next_u64());
        names.print(beginning, || random.next_u32(), line)
    })
    .await;
}
