//! Combines several pictures into one file, in the order in which they were taken: side by side, or one after the other
//! as an animation.

use std::io::{BufRead, Seek, Write};
use std::time::Duration;

/// Pictures per row.
const COLUMNS: usize = 2;
/// Space between two pictures, pixels.
const GAP: usize = 14;
/// Bytes per pixel: opaque red, green and blue.
const BYTES: usize = 3;

/// A picture in memory.
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// The pictures to combine.
#[derive(Default)]
pub struct Film {
    pictures: Vec<Picture>,
}

impl Picture {
    /// Reads a PNG file.
    pub fn read(from: impl BufRead + Seek) -> Result<Picture, png::DecodingError> {
        let mut decoder = png::Decoder::new(from);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let mut buffer = vec![0; reader.output_buffer_size().unwrap_or(0)];
        let info = reader.next_frame(&mut buffer)?;
        let bytes = info.color_type.samples();
        let pixels = buffer[..info.buffer_size()]
            .chunks_exact(bytes)
            .flat_map(|pixel| [pixel[0], pixel[1 % bytes], pixel[2 % bytes]]);
        Ok(Picture { width: info.width as usize, height: info.height as usize, pixels: pixels.collect() })
    }

    /// The picture at half width and height; each pixel is the mean of four.
    pub fn halved(&self) -> Picture {
        let (width, height) = (self.width / 2, self.height / 2);
        let sample = |x: usize, y: usize, c: usize| u32::from(self.pixels[(y * self.width + x) * BYTES + c]);
        let mean = |x: usize, y: usize, c: usize| {
            let sum = sample(2 * x, 2 * y, c)
                + sample(2 * x + 1, 2 * y, c)
                + sample(2 * x, 2 * y + 1, c)
                + sample(2 * x + 1, 2 * y + 1, c);
            (sum / 4) as u8
        };
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..BYTES).map(move |c| (x, y, c))));
        Picture { width, height, pixels: pixels.map(|(x, y, c)| mean(x, y, c)).collect() }
    }
}

impl Film {
    /// Appends a picture.
    pub fn add(&mut self, picture: Picture) {
        self.pictures.push(picture);
    }

    /// Writes all pictures as one PNG file.
    pub fn write(&self, to: impl Write) -> Result<(), png::EncodingError> {
        let width = self.pictures.iter().map(|picture| picture.width).max().unwrap_or(0);
        let height = self.pictures.iter().map(|picture| picture.height).max().unwrap_or(0);
        let rows = self.pictures.len().div_ceil(COLUMNS);
        let (full_width, full_height) = (COLUMNS * (width + GAP) - GAP, rows * (height + GAP) - GAP);
        let mut pixels = vec![255; full_width * full_height * BYTES];
        for (number, picture) in self.pictures.iter().enumerate() {
            let (left, top) = (number % COLUMNS * (width + GAP), number / COLUMNS * (height + GAP));
            for (y, line) in picture.pixels.chunks_exact(picture.width * BYTES).enumerate() {
                let at = ((top + y) * full_width + left) * BYTES;
                pixels[at..at + line.len()].copy_from_slice(line);
            }
        }
        let mut encoder = png::Encoder::new(to, full_width as u32, full_height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        encoder.write_header()?.write_image_data(&pixels)
    }

    /// Writes the pictures as one animated PNG, each for its time, then again from the start. All have the same size.
    /// A frame contains the rectangle that differs from the picture before; equal pixels in it are transparent.
    pub fn write_animated(&self, to: impl Write, times: &[Duration]) -> Result<(), png::EncodingError> {
        assert_eq!(times.len(), self.pictures.len(), "each picture has a time");
        let first = self.pictures.first().expect("an animation has pictures");
        let mut encoder = png::Encoder::new(to, first.width as u32, first.height as u32);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_compression(png::Compression::High);
        encoder.set_animated(self.pictures.len() as u32, 0)?;
        let mut writer = encoder.write_header()?;
        let mut before = None;
        for (picture, time) in self.pictures.iter().zip(times) {
            let rectangle = before.map_or(picture.whole(), |before| picture.difference(before));
            writer.set_frame_delay(time.as_millis() as u16, 1_000)?;
            // The new size is checked against the old position.
            writer.reset_frame_position()?;
            writer.set_frame_dimension(rectangle.width as u32, rectangle.height as u32)?;
            writer.set_frame_position(rectangle.left as u32, rectangle.top as u32)?;
            writer.set_blend_op(if before.is_some() { png::BlendOp::Over } else { png::BlendOp::Source })?;
            writer.write_image_data(&picture.changes(&rectangle, before))?;
            before = Some(picture);
        }
        writer.finish()
    }
}

/// A part of a picture, pixels.
struct Rectangle {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Picture {
    fn whole(&self) -> Rectangle {
        Rectangle { left: 0, top: 0, width: self.width, height: self.height }
    }

    fn pixel(&self, x: usize, y: usize) -> &[u8] {
        &self.pixels[(y * self.width + x) * BYTES..][..BYTES]
    }

    /// The smallest rectangle with all pixels that differ; one pixel if none does.
    fn difference(&self, before: &Picture) -> Rectangle {
        assert_eq!((self.width, self.height), (before.width, before.height), "the pictures have the same size");
        let differs = |x: &usize, y: &usize| self.pixel(*x, *y) != before.pixel(*x, *y);
        let rows = || (0..self.height).filter(|y| (0..self.width).any(|x| differs(&x, y)));
        let columns = || (0..self.width).filter(|x| (0..self.height).any(|y| differs(x, &y)));
        let (top, left) = (rows().next().unwrap_or(0), columns().next().unwrap_or(0));
        let (bottom, right) = (rows().next_back().unwrap_or(top), columns().next_back().unwrap_or(left));
        Rectangle { left, top, width: right + 1 - left, height: bottom + 1 - top }
    }

    /// Red, green, blue and opacity of each pixel of the rectangle.
    fn changes(&self, rectangle: &Rectangle, before: Option<&Picture>) -> Vec<u8> {
        let Rectangle { left, top, width, height } = *rectangle;
        let places = (top..top + height).flat_map(|y| (left..left + width).map(move |x| (x, y)));
        let change = |(x, y): (usize, usize)| match (self.pixel(x, y), before) {
            (pixel, Some(before)) if before.pixel(x, y) == pixel => [0; 4],
            (pixel, _) => [pixel[0], pixel[1], pixel[2], 255],
        };
        places.flat_map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: usize, height: usize, colour: [u8; 3]) -> Picture {
        Picture { width, height, pixels: colour.repeat(width * height) }
    }

    #[test]
    fn three_pictures_are_written_in_two_rows_and_read_again() {
        let mut film = Film::default();
        for colour in [[200, 0, 0], [0, 200, 0], [0, 0, 200]] {
            film.add(plain(8, 4, colour).halved());
        }
        let mut file = Vec::new();
        film.write(&mut file).unwrap();
        let read = Picture::read(std::io::Cursor::new(file)).unwrap();
        assert_eq!((read.width, read.height), (4 + GAP + 4, 2 + GAP + 2));
        assert_eq!(read.pixels[..3], [200, 0, 0]);
        assert_eq!(read.pixels[(4 + GAP) * 3..(4 + GAP) * 3 + 3], [0, 200, 0]);
    }

    #[test]
    fn an_animation_contains_what_changes() {
        let mut film = Film::default();
        film.add(plain(8, 4, [9, 9, 9]));
        let mut second = plain(8, 4, [9, 9, 9]);
        for (x, y) in [(2, 1), (5, 2)] {
            second.pixels[(y * 8 + x) * BYTES] = 200;
        }
        film.add(second);
        let mut file = Vec::new();
        film.write_animated(&mut file, &[Duration::from_millis(40); 2]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        assert_eq!(reader.info().animation_control.map(|control| control.num_frames), Some(2));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let second = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((second.width, second.height), (4, 2));
        let opaque: Vec<bool> = pixels[..second.buffer_size()].chunks(4).map(|pixel| pixel[3] == 255).collect();
        assert_eq!(opaque, [true, false, false, false, false, false, false, true]);
        assert_eq!(pixels[..4], [200, 9, 9, 255]);
    }
}
