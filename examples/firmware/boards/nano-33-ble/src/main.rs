//! Arduino Nano 33 BLE (nRF52840, Cortex-M4F, 1 MiB of flash, 256 KiB of RAM): a key makes a name.
//!
//! Pins: none, but the USB port. It is a serial port to the computer; the letters that one packet
//! brings, a key or a pasted line, begin the name; Enter alone leaves the beginning open.
//! Limits: letters from a to z, else "?" comes. The first 64 KiB of flash are the boot loader's.
//! To flash: a double press of the reset button, then bossac. See README.md.
#![no_std]
#![no_main]

use app::NameMaker;
use embassy_executor::Spawner;
use embassy_nrf::bind_interrupts;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::peripherals::USBD;
use embassy_nrf::rng::Rng;
use embassy_nrf::usb::vbus_detect::{self, HardwareVbusDetect};
use embassy_nrf::usb::{Driver, InterruptHandler};
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
    let mut names = NameMaker::new();
    let mut rng = Rng::new_blocking(chip.RNG);
    let mut random = || rng.blocking_next_u32();
    let driver = Driver::new(chip.USBD, Interrupts, HardwareVbusDetect::new(Interrupts));
    let mut port = usb_serial::Memory::new();
    usb_serial::answer(driver, &mut port, |beginning, line| {
        names.print(beginning, &mut random, line)
    })
    .await;
}
