//! The limits of this machine, for comparison with other figures.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::sample::Sample;

/// Appends batches of `batch_bytes` bytes to a file, each synced before the next. One batch counts as one request.
pub fn appends(folder: &Path, batch_bytes: usize, length: Duration) -> io::Result<Sample> {
    let path = folder.join("append");
    let mut file = File::create(&path)?;
    let batch = vec![0x5A; batch_bytes];
    let mut sample = Sample::new(length);
    let began = Instant::now();
    let mut asked = began;
    while asked - began < length {
        file.write_all(&batch)?;
        file.sync_data()?;
        let done = Instant::now();
        sample.note_latency(done - asked);
        sample.note_done(batch_bytes as u64);
        asked = done;
    }
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(Sample { length: asked - began, ..sample })
}

/// Sends this many bytes over loopback and writes them to a file, which is synced at the end. Returns bytes per
/// second.
pub fn copy_bytes_per_second(folder: &Path, bytes: usize) -> io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = std::thread::spawn(move || -> io::Result<()> {
        let mut socket = TcpStream::connect(address)?;
        let chunk = vec![0xA5; 1 << 20];
        let mut left = bytes;
        while left > 0 {
            let now = left.min(chunk.len());
            socket.write_all(&chunk[..now])?;
            left -= now;
        }
        Ok(())
    });
    let (mut socket, _) = listener.accept()?;
    let path = folder.join("copy");
    let mut file = File::create(&path)?;
    let mut chunk = vec![0; 1 << 20];
    let began = Instant::now();
    loop {
        let read = socket.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        file.write_all(&chunk[..read])?;
    }
    file.sync_data()?;
    let seconds = began.elapsed().as_secs_f64();
    sender.join().expect("the sender does not panic")?;
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(bytes as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_measured_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let appended = appends(folder.path(), 4_096, Duration::from_millis(20)).unwrap();
        assert!(appended.done > 0 && appended.timed() == appended.done && !appended.longest().is_zero());
        assert!(copy_bytes_per_second(folder.path(), 3 << 20).unwrap() > 0.0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
