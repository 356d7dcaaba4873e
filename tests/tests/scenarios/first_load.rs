//! The size of the files that a browser loads for the dashboard.

use cubecast_tests::artifacts;
use cubecast_tests::wait::say;

/// All files, compressed: 568 KiB, and 2 % more (docs/DECISIONS.md, 65). They take 0.95 s over a line of 5 Mbit/s.
const MOST_BYTES: u64 = 579 * 1024;
/// The simulated page includes the nodes' own code: 919 KiB, and 2 % more.
const MOST_BYTES_SIMULATED: u64 = 937 * 1024;
/// The page for incidents also restores the nodes' states: 986 KiB, and 2 % more.
const MOST_BYTES_INCIDENT: u64 = 1_006 * 1024;

#[test]
fn the_first_load_of_the_dashboard_is_small() {
    assert_small(&artifacts::dashboard(), MOST_BYTES);
}

#[test]
fn the_first_load_of_the_simulated_page_is_a_whole_cluster_and_still_small() {
    assert_small(&artifacts::dashboard().join("simulated"), MOST_BYTES_SIMULATED);
}

#[test]
fn the_first_load_of_the_page_for_incidents_adds_little_to_a_whole_cluster() {
    assert_small(&artifacts::dashboard().join("incident"), MOST_BYTES_INCIDENT);
}

fn assert_small(folder: &std::path::Path, most_bytes: u64) {
    let mut total = 0;
    for entry in std::fs::read_dir(folder).expect("the dashboard is built") {
        let file = entry.expect("its folder can be listed").path();
        if file.is_dir() || file.extension().is_some_and(|extension| extension == "gz") {
            continue;
        }
        let mut copy = file.clone().into_os_string();
        copy.push(".gz");
        let bytes =
            std::fs::metadata(&copy).unwrap_or_else(|_| panic!("{} has no compressed copy", file.display())).len();
        say(&format!("{bytes:>8} bytes compressed: {}", file.file_name().unwrap_or_default().display()));
        total += bytes;
    }
    say(&format!("{total:>8} bytes in all, of {most_bytes}"));
    assert!(total > 0, "nothing to load");
    assert!(total <= most_bytes, "the dashboard grew to {total} bytes compressed");
}
