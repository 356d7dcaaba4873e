//! Processes a client's bytes before the WebSocket library: long frames are split, and the received bytes of messages
//! are counted.
//!
//! The library reserves memory for the whole length of a frame when its header arrives, and keeps the memory for the
//! lifetime of the connection. This module therefore converts a long frame into a fragmented message (RFC 6455, 5.4),
//! so that the library holds one piece at a time. Frames beyond the message limit pass unchanged, and the library
//! refuses them by their header.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::budget::{CHUNK, Holding};

/// The longest piece of a frame, in bytes.
const PIECE: u64 = 32 << 10;

/// The longest header: two bytes, a length of eight bytes and a mask.
const LONGEST_HEADER: usize = 14;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A stream whose incoming frames are split and counted.
#[derive(Debug)]
pub struct Incoming<S> {
    stream: S,
    cutter: Cutter,
    /// Split bytes that the library has not read yet.
    ready: Vec<u8>,
    handed_on: usize,
    holding: Arc<Holding>,
}

impl<S> Incoming<S> {
    /// `came`: bytes that were already read from the stream.
    pub fn new(stream: S, came: &[u8], max_message: u64, holding: Arc<Holding>) -> Incoming<S> {
        let mut incoming =
            Incoming { stream, cutter: Cutter::new(max_message), ready: Vec::new(), handed_on: 0, holding };
        incoming.cut(came);
        incoming
    }

    fn cut(&mut self, bytes: &[u8]) {
        self.cutter.take(bytes, &mut self.ready, &self.holding);
        if self.cutter.is_within_message() {
            self.holding.goes_on();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Incoming<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.handed_on == this.ready.len() {
            if this.holding.has_to_wait(context) {
                return Poll::Pending;
            }
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            // Headers of pieces make the output a few bytes longer than the chunk; a whole chunk is read anyway.
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            (this.ready, this.handed_on) = (Vec::with_capacity(chunk.filled().len() + 16), 0);
            this.cut(chunk.filled());
            if this.ready.is_empty() {
                // Only a part of a header arrived, so the rest is requested at once.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let left = &this.ready[this.handed_on..];
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        this.handed_on += count;
        if this.handed_on == this.ready.len() {
            (this.ready, this.handed_on) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Incoming<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Splits long data frames of a byte stream, independent of the boundaries of its chunks.
#[derive(Debug)]
struct Cutter {
    max_message: u64,
    header: Header,
    frame: Option<Frame>,
    /// Whether a message has begun whose last frame has not ended.
    within_message: bool,
}

/// A header as far as it has arrived.
#[derive(Debug, Default)]
struct Header {
    bytes: [u8; LONGEST_HEADER],
    length: usize,
}

/// A frame in progress.
#[derive(Debug)]
struct Frame {
    is_data: bool,
    is_final: bool,
    mask: Option<[u8; 4]>,
    left_of_piece: u64,
    left_behind: u64,
}

impl Cutter {
    fn new(max_message: u64) -> Cutter {
        Cutter { max_message, header: Header::default(), frame: None, within_message: false }
    }

    fn is_within_message(&self) -> bool {
        self.within_message
    }

    fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>, holding: &Holding) {
        while !bytes.is_empty() {
            let Some(frame) = &mut self.frame else {
                if self.header.add(&mut bytes) {
                    self.begin_frame(out, holding);
                }
                continue;
            };
            let count = frame.left_of_piece.min(bytes.len() as u64);
            let (more, rest) = bytes.split_at(count as usize);
            out.extend(more);
            bytes = rest;
            frame.left_of_piece -= count;
            if frame.is_data {
                holding.came(count);
            }
            self.end_piece(out, holding);
        }
    }

    fn begin_frame(&mut self, out: &mut Vec<u8>, holding: &Holding) {
        let header = std::mem::take(&mut self.header);
        let header = header.bytes();
        let (length, mask) = length_and_mask(header);
        let is_data = header[0] & 0x08 == 0;
        let is_final = header[0] & FINAL != 0;
        let is_cut = is_data && length > PIECE && length <= self.max_message;
        let piece = if is_cut { PIECE } else { length };
        match is_cut {
            true => put_header(header[0] & !FINAL, piece, mask, out),
            false => out.extend(header),
        }
        if is_data {
            self.within_message = true;
            holding.came(header.len() as u64);
        }
        self.frame = Some(Frame { is_data, is_final, mask, left_of_piece: piece, left_behind: length - piece });
        self.end_piece(out, holding);
    }

    /// Begins the next piece after the previous one has ended, or ends the frame.
    fn end_piece(&mut self, out: &mut Vec<u8>, holding: &Holding) {
        let Some(frame) = self.frame.as_mut().filter(|frame| frame.left_of_piece == 0) else { return };
        if frame.left_behind > 0 {
            let piece = frame.left_behind.min(PIECE);
            frame.left_behind -= piece;
            frame.left_of_piece = piece;
            let ends = frame.is_final && frame.left_behind == 0;
            return put_header(if ends { FINAL } else { 0 }, piece, frame.mask, out);
        }
        if frame.is_data && frame.is_final {
            self.within_message = false;
            holding.is_whole();
        }
        self.frame = None;
    }
}

impl Header {
    /// Moves the bytes that belong to the header out of `bytes`. `true`: the header is complete.
    fn add(&mut self, bytes: &mut &[u8]) -> bool {
        while self.length < header_length(self.bytes()) {
            let Some((first, rest)) = bytes.split_first() else { return false };
            self.bytes[self.length] = *first;
            self.length += 1;
            *bytes = rest;
        }
        true
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The length of a header, as far as known from its first bytes.
fn header_length(header: &[u8]) -> usize {
    let Some(second) = header.get(1) else { return 2 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & MASKED != 0 { 4 } else { 0 }
}

fn length_and_mask(header: &[u8]) -> (u64, Option<[u8; 4]>) {
    let mask = (header[1] & MASKED != 0).then(|| *header.last_chunk().expect("a mask has four bytes"));
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let length = match header[1] & 0x7f {
        126 => number(&header[2..4]),
        127 => number(&header[2..10]),
        short => u64::from(short),
    };
    (length, mask)
}

fn put_header(first: u8, length: u64, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    out.push(first);
    if length < 126 {
        out.push(masked | length as u8);
    } else {
        // A piece is shorter than 64 KiB.
        out.push(masked | 126);
        out.extend((length as u16).to_be_bytes());
    }
    out.extend(mask.iter().flatten());
}

#[cfg(test)]
mod tests {
    use super::super::budget::{BUDGET, Budget};
    use super::*;
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::AsyncWriteExt;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    use tokio_tungstenite::tungstenite::{Error, Message};

    const MAX: u64 = 1 << 20;

    fn server<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> impl Future<Output = WebSocketStream<Incoming<S>>> {
        let incoming = Incoming::new(stream, &[], MAX, Budget::new(BUDGET).hold());
        let config = super::super::websocket_config(MAX as usize);
        WebSocketStream::from_raw_socket(incoming, Role::Server, Some(config))
    }

    /// Messages arrive as they were sent, with any lengths and any chunks.
    #[tokio::test]
    async fn messages_arrive_as_they_were_sent() {
        for (chunk, longest) in [(1, 300), (3, 40_000), (1000, 300_001), (1 << 20, 300_001)] {
            let (ours, theirs) = tokio::io::duplex(chunk);
            let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
            let lengths = [0, 1, 125, 126, 300, 32_767, 32_768, 32_769, 40_000, 65_535, 65_536, 300_001];
            let lengths = lengths.into_iter().filter(|length| *length <= longest);
            let texts: Vec<Vec<u8>> = lengths.map(|length| (0..length).map(|at| (at % 251) as u8).collect()).collect();
            let sent = texts.clone();
            let sending = tokio::spawn(async move {
                for (number, bytes) in (0..).zip(sent) {
                    client.send(Message::Ping(vec![number].into())).await.unwrap();
                    let (first, second) = bytes.split_at(bytes.len() / 3);
                    let part = |bytes: &[u8], data, is_final| {
                        Message::Frame(RawFrame::message(bytes.to_vec(), OpCode::Data(data), is_final))
                    };
                    match number % 2 {
                        0 => client.send(Message::binary(bytes)).await.unwrap(),
                        _ => {
                            client.send(part(first, Data::Binary, false)).await.unwrap();
                            client.send(Message::Ping(vec![].into())).await.unwrap();
                            client.send(part(second, Data::Continue, true)).await.unwrap();
                        }
                    }
                }
                client
            });
            let mut server = server(ours).await;
            for bytes in texts {
                let came = loop {
                    match server.next().await.unwrap().unwrap() {
                        Message::Binary(came) => break came,
                        Message::Ping(_) => {}
                        other => panic!("{other:?}"),
                    }
                };
                assert!(came == bytes, "{} bytes in chunks of {chunk}", bytes.len());
            }
            drop(sending.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_frame_longer_than_a_message_is_refused_by_its_header() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let mut header = vec![0x82, 0x80 | 127];
        header.extend((MAX + 1).to_be_bytes());
        header.extend([0; 4]);
        theirs.write_all(&header).await.unwrap();
        let refused = server(ours).await.next().await.unwrap();
        assert!(matches!(refused, Err(Error::Capacity(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn what_came_of_a_message_is_held_until_it_is_passed_on() {
        let budget = Budget::new(BUDGET);
        let holding = budget.hold();
        let mut cutter = Cutter::new(MAX);
        let mut out = Vec::new();
        let mut frame = vec![0x82, 0x80 | 127];
        frame.extend(200_000u64.to_be_bytes());
        frame.extend([1, 2, 3, 4]);
        frame.extend(vec![9; 199_999]);
        cutter.take(&frame, &mut out, &holding);
        assert!(cutter.is_within_message());
        assert!(budget.used() > 180_000);
        cutter.take(&[9], &mut out, &holding);
        assert!(!cutter.is_within_message());
        holding.passed_on();
        assert_eq!(budget.used(), 0);
    }
}
