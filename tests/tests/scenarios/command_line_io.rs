//! Input and output of the command line: lines and files, readers that disconnect, untrusted text.

use std::process::Stdio;
use std::sync::Arc;

use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::process::{Ended, client, run, run_with_input};
use cubecast_tests::wait::PATIENCE;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const MEBIBYTE: usize = 1 << 20;

#[tokio::test]
async fn a_line_that_is_no_text_is_named_and_nothing_behind_it_is_published() {
    let bench = Bench::new("io-bad").await;
    let ended = bench.publish(b"line1\nbad \xff\xfe byte\nline3\n", &["-"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("line 2 of standard input: it is not UTF-8: byte 5 is 0xff"), "{ended:?}");
    assert!(ended.stderr.contains("published: line 1; no others"), "{ended:?}");
    assert_eq!(bench.contents().await, ["line1"]);
}

#[tokio::test]
async fn a_line_that_is_refused_is_named_and_nothing_behind_it_is_published() {
    let bench = Bench::new("io-large").await;
    let long = "x".repeat(2 * MEBIBYTE);
    let ended = bench.publish(format!("one\ntwo\n{long}\nfour\n").as_bytes(), &["-"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("line 3 of standard input: too_large"), "{ended:?}");
    assert!(ended.stderr.contains("published: lines 1 to 2; no others"), "{ended:?}");
    assert_eq!(bench.contents().await, ["one", "two"]);
}

#[tokio::test]
async fn a_line_without_an_end_is_refused_before_memory_is_full() {
    let bench = Bench::new("io-endless").await;
    let mut command = bench.command(&["pub", &bench.topic, "--as", &bench.publisher, "-"]);
    let endless = std::fs::File::open("/dev/zero").expect("there are zeros");
    let output = timeout(PATIENCE, command.stdin(Stdio::from(endless)).stderr(Stdio::piped()).output()).await;
    let output = output.expect("it ends").expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("line 1 of standard input: too_large"), "{error}");
}

#[tokio::test]
async fn lines_of_a_file_are_published_as_they_are() {
    let bench = Bench::new("io-file").await;
    let file = bench.cluster.folder().join("lines.txt");
    std::fs::write(&file, "unix\ndos\r\n\n\r\nnul\0\nköln 天気\nlast").expect("the file is written");
    let ended = bench.publish(b"", &["--file", file.to_str().expect("UTF-8"), "--at-once", "8"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(bench.contents().await, ["unix", "dos\r", "", "\r", "nul\0", "köln 天気", "last"]);
    let missing = bench.publish(b"", &["--file", "/no/such/file"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("cannot read /no/such/file"), "{missing:?}");
}

#[tokio::test]
async fn a_whole_input_is_one_message_byte_for_byte() {
    let bench = Bench::new("io-whole").await;
    let text = "first\r\nsecond\n\nfourth\n";
    let ended = bench.publish(text.as_bytes(), &["--whole"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(bench.contents().await, [text]);
}

#[tokio::test]
async fn sub_ends_when_its_reader_is_gone_although_no_message_comes() {
    let bench = Bench::new("io-head").await;
    bench.publish(b"one\ntwo\nthree\n", &["-"]).await;
    let mut process = bench.spawn(&["sub", &bench.topic, "--as", &bench.subscriber, "--create"]);
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    for _ in 0..3 {
        timeout(PATIENCE, lines.next_line()).await.expect("lines come").expect("they are text").expect("a line");
    }
    drop(lines);
    let status = timeout(PATIENCE, process.wait()).await.expect("`sub` notices that nobody reads").expect("it ends");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn an_output_that_nobody_reads_is_no_failure_and_stops_no_work() {
    let bench = Bench::new("io-unread").await;
    let (topic, publisher, subscriber) = (&*bench.topic, &*bench.publisher, &*bench.subscriber);
    let commands: [&[&str]; 7] = [
        &["completions", "bash"],
        &["topic", "list"],
        &["locate", topic],
        &["status"],
        &["--help"],
        &["pub", topic, "again", "--as", publisher, "--count", "20"],
        &["sub", topic, "--as", subscriber, "--create"],
    ];
    for arguments in commands {
        let mut command = match arguments[0] {
            "completions" | "--help" => client(arguments),
            _ => bench.command(arguments),
        };
        let ended = unread(&mut command).await;
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
    }
    assert_eq!(bench.contents().await.len(), 20);
}

#[tokio::test]
async fn text_from_strangers_is_escaped_where_people_read_and_unchanged_for_programs() {
    let bench = Bench::new("io-\u{200b}strange").await;
    let plain = Bench::new("io-strange").await;
    let content = "two\nlines \u{1b}[2J \u{202e}turned \\n";
    bench.publish(content.as_bytes(), &["--whole"]).await;
    let listed = bench.run(&["topic", "list"]).await;
    let named = |name: &str| listed.stdout.lines().filter(|line| line.split(' ').next() == Some(name)).count();
    assert_eq!((named("io-\\u{200b}strange"), named("io-strange")), (1, 1), "{listed:?}");
    let located = bench.run(&["locate", &bench.topic]).await;
    assert!(located.stdout.starts_with("Topic `io-\\u{200b}strange` has its home on"), "{located:?}");

    let shown = "two\\nlines \\u{1b}[2J \\u{202e}turned \\\\n";
    let sub = ["sub", &*bench.topic, "--as", &*plain.subscriber, "--create", "--from", "beginning", "--count", "1"];
    let heard = bench.run(&sub).await;
    assert!(heard.stdout.lines().count() == 1 && heard.stdout.trim_end().ends_with(shown), "{heard:?}");
    let heard = bench.run(&[&sub[..], &["--content-only"]].concat()).await;
    assert_eq!(heard.stdout, format!("{shown}\n"));
    let heard = bench.run(&[&sub[..], &["--content-only", "--raw"]].concat()).await;
    assert_eq!(heard.stdout, format!("{content}\n"));
    let heard = bench.run(&[&sub[..], &["--format", "json"]].concat()).await;
    let message: Value = serde_json::from_str(&heard.stdout).expect("one JSON object");
    assert_eq!((&message["content"], &message["topic"]), (&json!(content), &json!(bench.topic)));
    let pulled = bench.run(&["pull", &bench.topic, "--as", &plain.subscriber, "--subscribe", "--from", "0"]).await;
    assert!(pulled.stdout.lines().count() == 1 && pulled.stdout.trim_end().ends_with(shown), "{pulled:?}");
    let refused = bench.run(&["topic", "create", &bench.topic, "--as", &bench.publisher]).await;
    assert!(refused.stderr.contains("topic `io-\\u{200b}strange` already exists"), "{refused:?}");
}

#[tokio::test]
async fn a_sub_that_is_ended_before_its_count_says_so() {
    let bench = Bench::new("io-signal").await;
    for (signal, with_count, alone) in [("-INT", 130, 0), ("-TERM", 143, 0), ("-HUP", 129, 129)] {
        bench.publish(b"heard\n", &["-"]).await;
        for (count, expected) in [(&["--count", "9"][..], with_count), (&[][..], alone)] {
            let mut process = bench.spawn(
                &[&["sub", &bench.topic, "--as", &bench.subscriber, "--create", "--from", "beginning"], count].concat(),
            );
            let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
            timeout(PATIENCE, lines.next_line()).await.expect("a line comes").expect("it is text").expect("a line");
            let pid = process.id().expect("it runs").to_string();
            assert!(Command::new("kill").args([signal, &pid]).status().await.expect("kill runs").success());
            let status = timeout(PATIENCE, process.wait()).await.expect("it ends").expect("it can be waited for");
            assert_eq!(status.code(), Some(expected), "{signal} {count:?}");
        }
    }
}

/// A topic with its publisher and subscriber for one test, on the shared cluster.
struct Bench {
    cluster: Arc<ProcessCluster>,
    topic: String,
    publisher: String,
    subscriber: String,
}

impl Bench {
    async fn new(topic: &str) -> Bench {
        let cluster = ProcessCluster::shared().await;
        let (publisher, subscriber) = (format!("{topic}-p"), format!("{topic}-s"));
        let bench = Bench { cluster, topic: topic.into(), publisher, subscriber };
        let created = bench.run(&["topic", "create", topic, "--as", &bench.publisher]).await;
        assert_eq!(created.code, Some(0), "{created:?}");
        bench
    }

    async fn publish(&self, input: &[u8], arguments: &[&str]) -> Ended {
        let address = self.address();
        let all = [&["pub", &self.topic, "--as", &self.publisher, "--cluster", &address], arguments].concat();
        run_with_input(&all, input).await
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--cluster", &self.address()]].concat()).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        client(&[arguments, &["--cluster", &self.address()]].concat())
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the binary can be run")
    }

    fn address(&self) -> String {
        self.cluster.address("011".parse().expect("a vertex"))
    }

    /// All contents of the topic, unchanged.
    async fn contents(&self) -> Vec<String> {
        let mut client = self.cluster.client("000".parse().expect("a vertex")).await;
        let reader = format!("{}-reader", self.topic);
        client.must(json!({"action": "create_subscriber", "subscriber_id": reader})).await;
        client
            .must(json!({"action": "subscribe", "subscriber_id": reader, "topic": self.topic, "from": "beginning"}))
            .await;
        let pulled = client.must(json!({"action": "pull", "subscriber_id": reader, "topic": self.topic})).await;
        let messages = pulled["messages"].as_array().expect("a list of messages");
        messages.iter().map(|message| message["content"].as_str().expect("a text").to_owned()).collect()
    }
}

/// Runs a command whose standard output is a pipe without a reader.
async fn unread(command: &mut Command) -> Ended {
    let (reader, writer) = std::io::pipe().expect("there are pipes");
    drop(reader);
    let process = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("the binary can be run");
    let output = timeout(PATIENCE, process.wait_with_output()).await.expect("it ends").expect("it can be waited for");
    let stderr = String::from_utf8(output.stderr).expect("errors are UTF-8");
    Ended { code: output.status.code(), stdout: String::new(), stderr }
}
