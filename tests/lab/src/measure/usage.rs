//! Resource usage of processes as counted by the kernel. Linux only; on other systems nothing is known.

use std::fs;

use serde::{Deserialize, Serialize};

/// The usage of several processes together.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// CPU seconds since the processes started.
    pub cpu_seconds: f64,
    /// Resident memory of the largest process in bytes.
    pub largest_rss: u64,
}

impl Usage {
    /// CPU seconds since `before`.
    pub fn since(self, before: Usage) -> f64 {
        self.cpu_seconds - before.cpu_seconds
    }
}

/// The current usage. A process that has ended counts as zero.
pub fn of(processes: &[u32]) -> Usage {
    let cpu = processes.iter().filter_map(|process| cpu_seconds(*process)).sum();
    let rss = processes.iter().filter_map(|process| resident_bytes(*process)).max();
    Usage { cpu_seconds: cpu, largest_rss: rss.unwrap_or(0) }
}

/// The current usage of this process.
pub fn own() -> Usage {
    of(&[std::process::id()])
}

/// The CPU time of the process's threads, in nanoseconds; or, if larger, of the whole process in hundredths of a
/// second, which includes ended threads.
fn cpu_seconds(process: u32) -> Option<f64> {
    let whole = ticks(process)? as f64 / 100.0;
    Some(whole.max(nanoseconds_of_threads(process).unwrap_or(0) as f64 / 1e9))
}

/// User and system time: fields 14 and 15 of `/proc/PID/stat`, counted after the name, which may contain spaces.
fn ticks(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// The sum of the first fields of all threads' `schedstat`. The kernel may lack this file.
fn nanoseconds_of_threads(process: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let of_thread = |thread: fs::DirEntry| {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(threads.filter_map(of_thread).sum())
}

fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn work_is_counted() {
        let before = own();
        let mut sum = 0u64;
        while own().cpu_seconds < before.cpu_seconds + 0.02 {
            sum = std::hint::black_box(sum.wrapping_mul(31) + 1);
        }
        let threads = nanoseconds_of_threads(std::process::id()).unwrap() as f64 / 1e9;
        let whole = ticks(std::process::id()).unwrap() as f64 / 100.0;
        let is_told = Path::new("/proc/self/schedstat").exists();
        assert!(!is_told || threads > 0.0, "this thread has worked");
        assert!(threads < whole + 0.03, "{threads} s by the threads, {whole} s by the process");
        assert!(own().largest_rss > 100_000);
        assert_eq!(of(&[u32::MAX]), Usage::default());
    }
}
