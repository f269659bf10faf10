//! STM32 Nucleo-L476RG (Cortex-M4F, 1 MiB of flash, 128 KiB of RAM): the blue button makes a name.
//!
//! Pins: PC13 is the button B1, PA2 sends to the ST-LINK, which is a serial port to the computer,
//! at 115200 baud. Nothing is wired.
//! Limits: 96 KiB of RAM are used, the 32 KiB of SRAM2 are not.
//! To flash: `cargo run --release` in this folder, with probe-rs installed. See README.md.
#![no_std]
#![no_main]

use app::NameMaker;
use cortex_m_rt::entry;
use embassy_stm32::gpio::{Input, Pull};
use embassy_stm32::rcc::{Pll, PllMul, PllPreDiv, PllQDiv, PllRDiv, PllSource, Sysclk, mux};
use embassy_stm32::rng::{InterruptHandler, Rng};
use embassy_stm32::usart::UartTx;
use embassy_stm32::{Config, bind_interrupts, peripherals};
use heapless::String;
use panic_halt as _;

bind_interrupts!(struct Interrupts {
    RNG => InterruptHandler<peripherals::RNG>;
});

#[entry]
fn main() -> ! {
    let mut config = Config::default();
    config.rcc.hsi = true;
    config.rcc.sys = Sysclk::PLL1_R;
    config.rcc.mux.clk48sel = mux::Clk48sel::PLL1_Q;
    config.rcc.pll = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV1,
        mul: PllMul::MUL18,
        divp: None,
        divq: Some(PllQDiv::DIV6), // 16 MHz * 18 / 6: 48 MHz for the random numbers
        divr: Some(PllRDiv::DIV4), // 16 MHz * 18 / 4: 72 MHz for the core
    });
    let chip = embassy_stm32::init(config);
    let mut names = NameMaker::new();
    let mut rng = Rng::new(chip.RNG, Interrupts);
    let mut random = || rng.next_u32();
    let button = Input::new(chip.PC13, Pull::None);
    let mut serial = UartTx::new_blocking(chip.USART2, chip.PA2, Default::default())
        .expect("115200 baud can be had from 72 MHz");
    loop {
        let mut line = String::<64>::new();
        if names.print("", &mut random, &mut line).is_ok() {
            let _ = line.push_str("\r\n");
            let _ = serial.blocking_write(line.as_bytes());
        }
        for pressed in [false, true] {
            while button.is_low() != pressed {}
            // 20 ms: a button bounces.
            cortex_m::asm::delay(72_000_000 / 50);
        }
    }
}
