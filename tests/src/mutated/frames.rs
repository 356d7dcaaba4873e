//! WebSocket frames of a client (RFC 6455, 5.2), valid and invalid.

use fastrand::Rng;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// Opcode of continuation frames.
pub const CONTINUATION: u8 = 0;
/// Opcode of text frames.
pub const TEXT: u8 = 1;
/// Opcode of binary frames.
pub const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A log line that no node writes.
pub const FORGED: &str = "2001-01-01T00:00:00Z ERROR forged";
/// Lengths that a header may claim, independent of the payload.
const CLAIMS: &[u64] =
    &[0, 1, 125, 126, 0xffff, 0x1_0000, 8 << 20, (8 << 20) + 1, 64 << 20, 1 << 32, i64::MAX as u64, u64::MAX];

/// A frame whose parts may contradict each other.
#[derive(Clone, Debug)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    first: u8,
    length: Length,
    mask: Option<[u8; 4]>,
    payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Length {
    /// As the standard requires.
    Shortest,
    /// In more bytes than necessary.
    In2,
    In8,
    /// In eight bytes, independent of the payload.
    Claimed(u64),
}

impl Frame {
    fn new(rng: &mut Rng, first: u8, payload: &[u8]) -> Frame {
        let mask = Some(rng.u32(..).to_be_bytes());
        Frame { first, length: Length::Shortest, mask, payload: payload.to_vec() }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        out.push(self.first);
        let length = self.payload.len() as u64;
        match (self.length, length) {
            (Length::Shortest, 0..126) => out.push(masked | length as u8),
            (Length::Shortest, 126..0x1_0000) | (Length::In2, ..0x1_0000) => {
                out.push(masked | 126);
                out.extend((length as u16).to_be_bytes());
            }
            (Length::Shortest | Length::In2 | Length::In8, _) => {
                out.push(masked | 127);
                out.extend(length.to_be_bytes());
            }
            (Length::Claimed(claimed), _) => {
                out.push(masked | 127);
                out.extend(claimed.to_be_bytes());
            }
        }
        out.extend(self.mask.iter().flatten());
        let mask = self.mask.unwrap_or_default();
        out.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }
}

/// A message in one or several frames, possibly with a ping between them.
pub fn message(rng: &mut Rng, opcode: u8, payload: &[u8]) -> Vec<Frame> {
    let count = if rng.u8(..4) == 0 { rng.usize(2..=5) } else { 1 };
    let mut cuts: Vec<usize> = (1..count).map(|_| rng.usize(..=payload.len())).collect();
    cuts.extend([0, payload.len()]);
    cuts.sort();
    let mut frames = Vec::new();
    for (number, cut) in cuts.windows(2).enumerate() {
        let opcode = if number == 0 { opcode } else { CONTINUATION };
        let is_final = if number + 1 == count { FINAL } else { 0 };
        if number > 0 && rng.bool() {
            frames.push(Frame::new(rng, FINAL | PING, b"between"));
        }
        frames.push(Frame::new(rng, is_final | opcode, &payload[cut[0]..cut[1]]));
    }
    frames
}

/// Makes one of the message's frames, or their order, invalid.
pub fn spoil(rng: &mut Rng, frames: &mut Vec<Frame>) {
    let at = rng.usize(..frames.len());
    let frame = &mut frames[at];
    match rng.u8(..10) {
        0 => frame.first = frame.first & !0xf | rng.u8(..16),
        1 => frame.first ^= RESERVED & (1 << rng.u8(4..7)),
        2 => frame.first ^= FINAL,
        3 => frame.mask = None,
        4 => frame.length = Length::Claimed(*rng.choice(CLAIMS).expect("there are some")),
        5 => frame.length = Length::Claimed((frame.payload.len() as u64).wrapping_add_signed(rng.i64(-3..=3))),
        6 => frame.length = if rng.bool() { Length::In2 } else { Length::In8 },
        7 => {
            let control = control(rng);
            frames.insert(at, control);
        }
        8 => {
            let again = frame.clone();
            frames.push(again);
        }
        9 => {
            // The rest of the message may begin in its middle, or lack its end.
            let from = rng.usize(..frames.len());
            frames.swap(at, from);
            if frames.len() > 1 {
                frames.remove(from);
            }
        }
        _ => unreachable!("the choice is below ten"),
    }
}

/// A control frame, valid or invalid.
fn control(rng: &mut Rng) -> Frame {
    let code = |code: u16, reason: &[u8]| [&code.to_be_bytes(), reason].concat();
    let (opcode, payload) = match rng.u8(..9) {
        0 => (PING, vec![7; 125]),
        1 => (PING, vec![7; 126]),
        2 => (PONG, vec![7; rng.usize(..200)]),
        3 => (CLOSE, vec![]),
        4 => (CLOSE, vec![3]),
        5 => (CLOSE, code(1000, format!("\x1b[31mred\r\n{FORGED}").as_bytes())),
        6 => (CLOSE, code(rng.u16(..), b"any code")),
        7 => (CLOSE, code(1000, &[0xff, 0xfe, 0x80])),
        _ => (CLOSE, code(4000, &[b'r'; 200])),
    };
    let is_final = if rng.u8(..4) == 0 { 0 } else { FINAL };
    Frame::new(rng, is_final | opcode, &payload)
}

/// The frames as bytes.
pub fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.write(&mut bytes));
    bytes
}
