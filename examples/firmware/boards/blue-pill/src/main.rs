//! Blue Pill (STM32F103C8, Cortex-M3, 64 KiB of flash, 20 KiB of RAM): a key makes a name.
//!
//! Pins: PA11 and PA12, the USB port. It is a serial port to the computer; the letters that one packet
//! brings, a key or a pasted line, begin the name; Enter alone leaves the beginning open.
//! Limits: letters from a to z, else "?" comes. The model is names-tiny; a larger one needs more flash.
//! To flash: `cargo run --release` in this folder, with an ST-LINK at SWDIO and SWCLK. See README.md.
#![no_std]
#![no_main]

use app::NameMaker;
use charlet::Rng;
use cortex_m::peripheral::DWT;
use embassy_executor::Spawner;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::peripherals::USB;
use embassy_stm32::rcc::{APBPrescaler, Hse, HseMode, Pll, PllMul, PllPreDiv, PllSource, Sysclk};
use embassy_stm32::time::Hertz;
use embassy_stm32::usb::{Driver, InterruptHandler};
use embassy_stm32::{Config, bind_interrupts};
use panic_halt as _;

bind_interrupts!(struct Interrupts {
    USB_LP_CAN1_RX0 => InterruptHandler<USB>;
});

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let mut config = Config::default();
    config.rcc.hse = Some(Hse {
        freq: Hertz(8_000_000),
        mode: HseMode::Oscillator,
    });
    // 8 MHz * 9: 72 MHz for the core, and 48 MHz for USB.
    config.rcc.pll = Some(Pll {
        src: PllSource::HSE,
        prediv: PllPreDiv::DIV1,
        mul: PllMul::MUL9,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.apb1_pre = APBPrescaler::DIV2;
    let mut chip = embassy_stm32::init(config);
    let mut core = cortex_m::Peripherals::take().expect("nobody else has taken them");
    core.DCB.enable_trace();
    core.DWT.enable_cycle_counter();
    // The board always pulls D+ up. Pulled down for 10 ms, the computer sees that the program starts anew.
    let unplugged = Output::new(chip.PA12.reborrow(), Level::Low, Speed::Low);
    cortex_m::asm::delay(72_000_000 / 100);
    drop(unplugged);
    let mut names = NameMaker::new();
    let driver = Driver::new(chip.USB, Interrupts, chip.PA12, chip.PA11);
    let mut port = usb_serial::Memory::new();
    let mut random = Rng::from_seed(0);
    usb_serial::answer(driver, &mut port, |beginning, line| {
        // Nothing in this chip is random. When a key comes is, counted in cycles.
        let seed = u64::from(random.next_u32()) << 32 | u64::from(DWT::cycle_count());
        random = Rng::from_seed(seed);
        names.print(beginning, || random.next_u32(), line)
    })
    .await;
}
