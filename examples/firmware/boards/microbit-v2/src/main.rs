//! BBC micro:bit v2 (nRF52833, Cortex-M4F, 512 KiB flash, 128 KiB RAM), and v1 (nRF51822, Cortex-M0,
//! 256 KiB flash, 16 KiB RAM): button A makes a name.
//!
//! Pins: those of the board, nothing is wired. The name leaves through the USB interface chip at
//! 115200 baud and scrolls over the LEDs, in the font of the micro:bit's own runtime.
//! Limits: while a name scrolls the button is not read; characters beyond ASCII show as a square.
//! To flash: `cargo run --release` in this folder, with probe-rs installed. See README.md.
#![no_std]
#![no_main]

use core::array::from_fn;
use core::fmt::Write;

use app::NameMaker;
use cortex_m_rt::entry;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::InputPin;
use heapless::String;
use microbit::Board;
use microbit::display::blocking::Display;
#[cfg(target_abi = "eabi")]
use microbit::hal::uart::{Baudrate, Parity, Uart};
#[cfg(target_abi = "eabihf")]
use microbit::hal::uarte::{Baudrate, Parity, Uarte};
use microbit::hal::{Rng, Timer};
use microbit_text::scrolling::Animate;
use microbit_text::scrolling_text::ScrollingBufferedText;
use panic_halt as _;
use tiny_led_matrix::Render;

/// How long the text stands still, before it moves on by a column.
const COLUMN_MS: u32 = 100;

#[entry]
fn main() -> ! {
    let mut board = Board::take().expect("nobody else has taken it");
    let mut names = NameMaker::new();
    let mut rng = Rng::new(board.RNG);
    let mut random = || rng.random_u32();
    let mut timer = Timer::new(board.TIMER0);
    let mut display = Display::new(board.display_pins);
    let (parity, baud) = (Parity::EXCLUDED, Baudrate::BAUD115200);
    // The chip of v1 has no floating point, and that decides the target.
    #[cfg(target_abi = "eabi")]
    let mut serial = Uart::new(board.UART0, board.uart.into(), parity, baud);
    #[cfg(target_abi = "eabihf")]
    let mut serial = Uarte::new(board.UARTE0, board.uart.into(), parity, baud);
    let mut text = ScrollingBufferedText::<64>::default();
    loop {
        let mut name = String::<64>::new();
        if names.print("", &mut random, &mut name).is_ok() {
            // Nobody may be listening; the LEDs still show the name.
            let _ = writeln!(serial, "{name}\r");
            text.set_message(name.as_bytes());
            while !text.is_finished() {
                let image = from_fn(|y| from_fn(|x| text.brightness_at(x, y)));
                display.show(&mut timer, image, COLUMN_MS);
                text.tick();
            }
        }
        while board.buttons.button_a.is_high().unwrap_or(true) {
            timer.delay_ms(10);
        }
    }
}
