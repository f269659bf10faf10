//! ESP32-C3 (RISC-V without floating point, 4 MiB of flash, 400 KiB of RAM): BOOT makes a name.
//!
//! Pins: GPIO9 is the button BOOT of nearly every board. The name leaves through the chip's own USB
//! port, or through UART0 (GPIO21) where no computer is at that port.
//! Limits: without radio the random numbers are not good enough for secrets; for names they are.
//! To flash: `cargo run --release` in this folder, with espflash installed. See README.md.
#![no_std]
#![no_main]

use app::NameMaker;
use esp_backtrace as _;
use esp_hal::clock::CpuClock;
use esp_hal::delay::Delay;
use esp_hal::gpio::{Input, InputConfig, Pull};
use esp_hal::rng::Rng;
use esp_println::{Printer, println};

// Without a description espflash refuses the image.
esp_bootloader_esp_idf::esp_app_desc!();

#[esp_hal::main]
fn main() -> ! {
    let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let mut names = NameMaker::new();
    let mut random = || Rng::new().random();
    let button = Input::new(chip.GPIO9, InputConfig::default().with_pull(Pull::Up));
    loop {
        if names.print("", &mut random, &mut Printer).is_ok() {
            println!();
        }
        for pressed in [false, true] {
            while button.is_low() != pressed {}
            // A button bounces.
            Delay::new().delay_millis(20);
        }
    }
}
