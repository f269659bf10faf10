//! Raspberry Pi Pico (RP2040, Cortex-M0+, 2 MiB of flash, 264 KiB of RAM): a key makes a name.
//!
//! Pins: none, but the USB port. It is a serial port to the computer; the letters that one packet
//! brings, a key or a pasted line, begin the name; Enter alone leaves the beginning open.
//! Limits: letters from a to z, else "?" comes. While a name is made, some 50 ms, USB waits.
//! To flash: `cargo run --release` in this folder while BOOTSEL is held. See README.md.
#![no_std]
#![no_main]

use app::{Memory, NameMaker};
use embassy_executor::Spawner;
use embassy_futures::join::join;
use embassy_rp::bind_interrupts;
use embassy_rp::clocks::RoscRng;
use embassy_rp::peripherals::USB;
use embassy_rp::usb::{Driver, InterruptHandler};
use embassy_usb::class::cdc_acm::{CdcAcmClass, State};
use embassy_usb::{Builder, Config};
use heapless::String;
use panic_halt as _;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro128PlusPlus;

bind_interrupts!(struct Interrupts {
    USBCTRL_IRQ => InterruptHandler<USB>;
});

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    let mut memory = Memory::new();
    let mut names = NameMaker::new(&mut memory).expect("the model is whole");
    // For tests of one's own: https://pid.codes/1209/0001
    let mut config = Config::new(0x1209, 0x0001);
    config.product = Some("charlet");
    let driver = Driver::new(chip.USB, Interrupts);
    let mut state = State::new();
    let (mut descriptors, mut bos, mut control) = ([0; 128], [0; 16], [0; 64]);
    let [descriptors, bos, control] = [&mut descriptors[..], &mut bos, &mut control];
    let mut builder = Builder::new(driver, config, descriptors, bos, &mut [], control);
    let mut serial = CdcAcmClass::new(&mut builder, &mut state, 64);
    let mut usb = builder.build();
    let talk = async {
        let mut packet = [0; 64];
        loop {
            serial.wait_connection().await;
            while let Ok(length @ 1..) = serial.read_packet(&mut packet).await {
                packet[..length].make_ascii_lowercase();
                let beginning = str::from_utf8(&packet[..length]).unwrap_or("?").trim();
                // The oscillator's bits come faster than they change: they make a seed, no more.
                let mut random = Xoshiro128PlusPlus::seed_from_u64(RoscRng.next_u64());
                // Less than a packet of 64 bytes, which an empty one would have to follow.
                let mut line = String::<63>::new();
                let made = names.print(beginning, &mut random, &mut line).is_ok();
                let _ = line.push_str(if made { "\r\n" } else { "?\r\n" });
                let _ = serial.write_packet(line.as_bytes()).await;
            }
        }
    };
    join(usb.run(), talk).await;
}
