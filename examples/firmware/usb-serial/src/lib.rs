//! A serial port over USB that answers what comes, for the chips that embassy has a driver of.
#![no_std]

use embassy_futures::join::join;
use embassy_usb::class::cdc_acm::{CdcAcmClass, State};
use embassy_usb::driver::Driver;
use embassy_usb::{Builder, Config};
use heapless::String;

/// Bytes of the longest packet.
const PACKET: usize = 64;

/// A line that is sent: less than a packet, which an empty one would have to follow.
pub type Line = String<{ PACKET - 1 }>;

/// What a byte is answered with: a message in hexadecimal, and its text.
pub type Answer = String<640>;

/// The memory of the port: a variable of `main`.
pub struct Memory<'d> {
    state: State<'d>,
    descriptors: [u8; 128],
    bos: [u8; 16],
    control: [u8; 64],
}

impl Memory<'_> {
    /// What a port starts with.
    #[expect(clippy::new_without_default, reason = "it is made once")]
    pub fn new() -> Self {
        Self {
            state: State::new(),
            descriptors: [0; 128],
            bos: [0; 16],
            control: [0; 64],
        }
    }
}

/// Answers for ever: `name` puts a name that begins with the letters of a packet, in lower case, into
/// the line, or fails, and "?" is sent.
pub async fn answer<'d, D: Driver<'d>, E>(
    driver: D,
    memory: &'d mut Memory<'d>,
    mut name: impl FnMut(&str, &mut Line) -> Result<(), E>,
) {
    serve(driver, memory, async |serial, packet| {
        packet.make_ascii_lowercase();
        let beginning = str::from_utf8(packet).unwrap_or("?").trim();
        let mut line = Line::new();
        let made = name(beginning, &mut line).is_ok();
        let _ = line.push_str(if made { "\r\n" } else { "?\r\n" });
        let _ = serial.write_packet(line.as_bytes()).await;
    })
    .await;
}

/// Answers for ever: `take` takes each byte, and what it prints is sent.
pub async fn answer_bytes<'d, D: Driver<'d>>(
    driver: D,
    memory: &'d mut Memory<'d>,
    mut take: impl FnMut(u8, &mut Answer),
) {
    let mut answer = Answer::new();
    serve(driver, memory, async |serial, packet| {
        for byte in packet {
            take(*byte, &mut answer);
            for part in answer.as_bytes().chunks(PACKET - 1) {
                let _ = serial.write_packet(part).await;
            }
            answer.clear();
        }
    })
    .await;
}

/// Is a serial port for ever, and handles its packets.
async fn serve<'d, D: Driver<'d>>(
    driver: D,
    memory: &'d mut Memory<'d>,
    mut handle: impl AsyncFnMut(&mut CdcAcmClass<'d, D>, &mut [u8]),
) {
    // For tests of one's own: https://pid.codes/1209/0001
    let mut config = Config::new(0x1209, 0x0001);
    config.product = Some("charlet");
    let Memory {
        state,
        descriptors,
        bos,
        control,
    } = memory;
    let mut builder = Builder::new(driver, config, descriptors, bos, &mut [], control);
    let mut serial = CdcAcmClass::new(&mut builder, state, PACKET as u16);
    let mut usb = builder.build();
    let talk = async {
        let mut packet = [0; PACKET];
        loop {
            serial.wait_connection().await;
            while let Ok(length @ 1..) = serial.read_packet(&mut packet).await {
                handle(&mut serial, &mut packet[..length]).await;
            }
        }
    };
    join(usb.run(), talk).await;
}
