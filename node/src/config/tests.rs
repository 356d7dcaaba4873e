use std::path::Path;

use super::*;
use crate::private;

const GOOD: &str = r#"
        node = "10"
        dimension = 2
        cluster = "demo"
        secret = "0123456789abcdef"
        data = "store"
        addresses = { 00 = "a:1", 01 = "a:2", 10 = "a:3", 11 = "a:4" }
    "#;

fn check(text: &str) -> Result<Config, String> {
    let typed: Typed = toml::from_str(text).map_err(|error| error.to_string())?;
    typed.check().map_err(|error| error.to_string())
}

#[track_caller]
fn refused(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    let error = check(&GOOD.replace(from, to)).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_good_file_gives_its_defaults() {
    let config = check(GOOD).unwrap();
    assert_eq!(config.listen, "a:3");
    assert_eq!(config.node.to_string(), "10");
    assert_eq!(config.sync, SyncMode::Always);
    assert!(!config.allow_faults);
}

#[test]
fn what_is_wrong_is_named() {
    refused("dimension = 2", "dimension = 0", "dimension 0 is not supported by real processes; use 1 to 6");
    refused("dimension = 2", "dimension = 7", "use 1 to 6 (2 to 64 nodes)");
    refused("\"10\"", "\"100\"", "`node`: `100` is not a node of this cube");
    refused("01 = \"a:2\", ", "", "`addresses` has no address for node 01");
    refused("a:2", "a:1", "nodes 00 and 01 have the same address a:1");
    refused("a:2", "a", "`a` is not a valid address: the port is missing; use HOST:PORT");
    refused("a:2", "a:0", "`a:0` is not a valid address: the port must be 1 to 65535");
    refused("a:2", "::1:2", "`::1:2` is not a valid address: put an IPv6 address in brackets");
    refused("a:2", "0.0.0.0:2", "`0.0.0.0:2` can only be listened on");
    refused("a:2", "[::]:2", "`[::]:2` can only be listened on");
    refused("a:2", "A.:1", "nodes 00 and 01 have the same address a:1");
    refused("0123456789abcdef", "short", "at least 16 bytes");
    refused("secret = \"0123456789abcdef\"", "", "`secret_file` is missing");
    refused("cluster", "secret_file = \"secret\"\ncluster", "`secret` and `secret_file` are both set");
    refused("cluster", "clutser", "unknown field `clutser`");
    refused(
        "cluster",
        "allow_host = [\"a b\"]\ncluster",
        "`allow_host`: `a b` is not a valid address: the host is neither",
    );
    refused("cluster = \"demo\"", "cluster = \"demo\"\nsync = \"sometimes\"", "`sync`: ");
    refused(
        "cluster = \"demo\"",
        "cluster = \"demo\"\nlimits.clients = 0",
        "`limits.clients` must be between 1 and 100000",
    );
    refused(
        "cluster = \"demo\"",
        "cluster = \"demo\"\nlimits.registrations_per_second = 0",
        "`limits.registrations_per_second` must be between 1 and 1000000",
    );
}

#[test]
fn times_to_expiry_are_read_as_people_write_them() {
    let times = ["1s", "12h", "30d", "1h 30m"].map(|text| parse_expiry(text).unwrap().as_secs());
    assert_eq!(times, [1, 43_200, 2_592_000, 5_400]);
    for text in ["", "0s", "999ms", "30", "-1d", "11years", "99999999999999999999d", "soon"] {
        let error = parse_expiry(text).unwrap_err().to_string();
        assert!(error.contains(&format!("`{text}` is not a time")), "{error}");
    }
}

#[test]
fn sizes_are_read_as_people_write_them() {
    let sizes = ["0", "12", "12B", "3KiB", "64MiB", "2 GiB"].map(|text| parse_size("a", text).unwrap());
    assert_eq!(sizes, [0, 12, 12, 3 << 10, 64 << 20, 2 << 30]);
    for text in ["", "MiB", "-1", "1.5MiB", "64MB", "99999999999GiB"] {
        let error = parse_size("a", text).unwrap_err().to_string();
        assert!(error.contains("for example 64MiB"), "{error}");
    }
}

#[test]
fn ipv6_addresses_are_taken_and_written_in_one_way() {
    let text = GOOD.replace("a:3", "[0:0::1]:3").replace("a:2", "[::1]:2");
    let config = check(&text).unwrap();
    assert_eq!((config.listen.as_str(), config.addresses[1].as_str()), ("[::1]:3", "[::1]:2"));
    assert!(config.own_hosts().contains(&"::1".to_owned()));
    let text = text.replace("data =", "listen = \"[::]:3\"\ndata =");
    assert_eq!(check(&text).unwrap().listen, "[::]:3");
}

#[test]
fn the_dashboard_is_the_programs_own_or_a_folders_or_off() {
    let checked = |line: &str| check(&GOOD.replace("data =", &format!("{line}\ndata ="))).map(|c| c.dashboard);
    let own = format!("{:?}", Dashboard::default());
    assert_eq!(["", "web = true"].map(|line| format!("{:?}", checked(line).unwrap())), [own.clone(), own]);
    assert!(matches!(checked("web = false"), Ok(Dashboard::Off)));
    assert!(matches!(checked("web = \"x\""), Ok(Dashboard::Folder(folder)) if folder == Path::new("x")));
    let error = checked("web = 3").unwrap_err();
    assert!(error.contains("`web` must be a folder, true or false"), "{error}");
}

#[test]
fn a_flag_wins_over_the_file() {
    let file: Typed = toml::from_str(GOOD).unwrap();
    let flags = Typed { node: Some("11".into()), sync: Some("never".into()), ..Typed::default() };
    let config = flags.or(file).check().unwrap();
    assert_eq!(config.node.to_string(), "11");
    assert_eq!(config.sync, SyncMode::Never);
    assert_eq!(config.listen, "a:4");
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_refused_with_the_cure() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("secret"), folder.path().join("link"));
    private::write(&file, "0123456789abcdef").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let with_link = || Typed { secret_file: Some(link.clone()), ..toml::from_str(GOOD).unwrap() };
    let checked = || Typed { secret: None, ..with_link() }.check();
    checked().expect("a link to a file that is its owner's alone");
    for mode in [0o640, 0o604, 0o620, 0o666] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = checked().unwrap_err().to_string();
        assert!(error.contains(&format!("(mode 0{mode:o}); run: chmod 600 {}", link.display())), "{error}");
    }
    let config = folder.path().join("node.toml");
    std::fs::write(&config, GOOD).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = Typed::read(&config).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    std::fs::write(&config, GOOD.replace("secret = ", "secret_file = ")).unwrap();
    Typed::read(&config).expect("without a secret in it, anybody may read a configuration");
}

#[test]
fn paths_in_a_file_are_relative_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    private::write(&file, GOOD).unwrap();
    assert_eq!(Typed::read(&file).unwrap().check().unwrap().data, folder.path().join("store"));
}
