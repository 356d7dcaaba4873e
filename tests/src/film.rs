//! Combines several pictures into one, side by side, in the order in which they were taken.

use std::io::{BufRead, Seek, Write};

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
}
