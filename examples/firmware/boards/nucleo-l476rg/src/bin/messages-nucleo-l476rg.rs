//! STM32 Nucleo-L476RG (Cortex-M4F): each line that is typed comes back as its compressed bytes, and as what is read from these.
//!
//! Pins: PA2 and PA3, the ST-LINK's serial port, at 115200 baud. Nothing is wired.
//! Limits: lines of 200 bytes; both sides need the same model. While a line is compressed, nothing is received.
//! To flash: `cargo run --release --bin messages-nucleo-l476rg` in this folder, as the names. See README.md.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_stm32::rcc::{Pll, PllMul, PllPreDiv, PllRDiv, PllSource, Sysclk};
use embassy_stm32::usart::Uart;
use heapless::String;
use messages::{Line, Messenger};
use panic_halt as _;

#[entry]
fn main() -> ! {
    let mut config = embassy_stm32::Config::default();
    config.rcc.hsi = true;
    config.rcc.sys = Sysclk::PLL1_R;
    config.rcc.pll = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV1,
        mul: PllMul::MUL18,
        divp: None,
        divq: None,
        divr: Some(PllRDiv::DIV4), // 16 MHz * 18 / 4: 72 MHz for the core
    });
    let chip = embassy_stm32::init(config);
    let mut serial = Uart::new_blocking(chip.USART2, chip.PA3, chip.PA2, Default::default())
        .expect("115200 baud can be had from 72 MHz");
    let mut messenger = Messenger::new();
    let mut line = Line::new();
    loop {
        let mut byte = [0];
        if serial.blocking_read(&mut byte).is_err() {
            continue;
        }
        if let Some(text) = line.push(byte[0]) {
            let mut answer = String::<640>::new();
            // There is room for the longest line.
            let _ = messenger.answer(text, &mut answer);
            let _ = serial.blocking_write(answer.as_bytes());
        }
    }
}
