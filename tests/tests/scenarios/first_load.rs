//! What a browser has to fetch before the dashboard stands.

use cubecast_tests::artifacts;
use cubecast_tests::wait::say;

/// All of it, compressed: a second over a line of 5 Mbit/s.
const MOST_BYTES: u64 = 600 * 1024;

#[test]
fn the_first_load_of_the_dashboard_is_small() {
    let mut total = 0;
    for entry in std::fs::read_dir(artifacts::dashboard()).expect("the dashboard is built") {
        let file = entry.expect("its folder can be listed").path();
        if file.extension().is_some_and(|extension| extension == "gz") {
            continue;
        }
        let mut copy = file.clone().into_os_string();
        copy.push(".gz");
        let bytes =
            std::fs::metadata(&copy).unwrap_or_else(|_| panic!("{} has no compressed copy", file.display())).len();
        say(&format!("{bytes:>8} bytes compressed: {}", file.file_name().unwrap_or_default().display()));
        total += bytes;
    }
    say(&format!("{total:>8} bytes in all, of {MOST_BYTES}"));
    assert!(total > 0, "nothing to load");
    assert!(total <= MOST_BYTES, "the dashboard grew to {total} bytes compressed");
}
