//! Raspberry Pi Pico (RP2040, Cortex-M0+): each line that is typed comes back as its compressed bytes, and as what is read from these.
//!
//! Pins: none, but the USB port, a serial port to the computer.
//! Limits: lines of 200 bytes; both sides need the same model. While a line is compressed, USB waits.
//! To flash: `cargo run --release --bin messages-pico` in this folder, as the names. See README.md.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_rp::bind_interrupts;
use embassy_rp::peripherals::USB;
use embassy_rp::usb::{Driver, InterruptHandler};
use messages::{Line, Messenger};
use panic_halt as _;

bind_interrupts!(struct Interrupts {
    USBCTRL_IRQ => InterruptHandler<USB>;
});

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    let driver = Driver::new(chip.USB, Interrupts);
    let mut messenger = Messenger::new();
    let mut line = Line::new();
    let mut port = usb_serial::Memory::new();
    usb_serial::answer_bytes(driver, &mut port, |byte, answer| {
        if let Some(text) = line.push(byte) {
            // There is room for the longest line.
            let _ = messenger.answer(text, answer);
        }
    })
    .await;
}
