//! What this machine can do at all: the bounds beside which figures are read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Appends batches of that many bytes to a file and syncs each; batches a second.
pub fn appends_per_second(folder: &Path, batch_bytes: usize, length: Duration) -> io::Result<f64> {
    let path = folder.join("append");
    let mut file = File::create(&path)?;
    let batch = vec![0x5A; batch_bytes];
    let began = Instant::now();
    let mut batches = 0u32;
    while began.elapsed() < length {
        file.write_all(&batch)?;
        file.sync_data()?;
        batches += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(f64::from(batches) / seconds)
}

/// Sends so many bytes over loopback and writes them to a file, which is synced at the end; bytes a second.
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
        assert!(appends_per_second(folder.path(), 4_096, Duration::from_millis(20)).unwrap() > 0.0);
        assert!(copy_bytes_per_second(folder.path(), 3 << 20).unwrap() > 0.0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
