//! Arduino Nano 33 BLE (nRF52840, Cortex-M4F): each line that is typed comes back as its compressed bytes, and as what is read from these.
//!
//! Pins: none, but the USB port, a serial port to the computer.
//! Limits: lines of 200 bytes; both sides need the same model. While a line is compressed, USB waits.
//! To flash: `cargo run --release --bin messages-nano-33-ble` in this folder, as the names. See README.md.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_nrf::bind_interrupts;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::peripherals::USBD;
use embassy_nrf::usb::vbus_detect::{self, HardwareVbusDetect};
use embassy_nrf::usb::{Driver, InterruptHandler};
use messages::{Line, Messenger};
use panic_halt as _;

bind_interrupts!(struct Interrupts {
    CLOCK_POWER => vbus_detect::InterruptHandler;
    USBD => InterruptHandler<USBD>;
});

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let mut config = Config::default();
    // USB wants a crystal.
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    let driver = Driver::new(chip.USBD, Interrupts, HardwareVbusDetect::new(Interrupts));
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
