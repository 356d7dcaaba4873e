//! JSON and binary requests have the same results.

use cubecast_core::cube::Dimension;
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::{binary, json as wire_json, limits::Limits};
use cubecast_tests::client::Client;
use cubecast_tests::cluster::ProcessCluster;
use serde_json::{Value, json};

/// A series of requests that can be repeated, because it deletes its topic at the end.
fn conversation() -> Vec<Value> {
    let topic = "both-encodings";
    let (publisher, subscriber) = ("both-p", "both-s");
    vec![
        json!({"action": "create_publisher", "publisher_id": publisher}),
        json!({"action": "create_subscriber", "subscriber_id": subscriber}),
        json!({"action": "publish", "publisher_id": publisher, "topic": topic, "content": "too early"}),
        json!({"action": "create_topic", "publisher_id": publisher, "topic": topic}),
        json!({"action": "create_topic", "publisher_id": publisher, "topic": topic}),
        json!({"action": "subscribe", "subscriber_id": subscriber, "topic": topic}),
        json!({"action": "publish", "publisher_id": publisher, "topic": topic, "content": "eins", "ack": "all", "sequence": 1}),
        json!({"action": "publish", "publisher_id": publisher, "topic": topic, "content": "eins", "ack": "all", "sequence": 1}),
        json!({"action": "publish", "publisher_id": publisher, "topic": topic, "content": "zwei \u{1F30D} \u{0}\n\"", "ack": "all"}),
        json!({"action": "pull", "subscriber_id": subscriber, "topic": topic, "commit": false}),
        json!({"action": "pull", "subscriber_id": subscriber, "topic": topic, "read": "any", "commit": false}),
        json!({"action": "pull", "subscriber_id": subscriber, "topic": topic, "max": 1}),
        json!({"action": "commit", "subscriber_id": subscriber, "topic": topic, "offset": 2}),
        json!({"action": "commit", "subscriber_id": subscriber, "topic": topic, "offset": 99}),
        json!({"action": "pull", "subscriber_id": subscriber, "topic": topic}),
        json!({"action": "pull", "subscriber_id": "nobody at all".replace(' ', "-"), "topic": topic}),
        json!({"action": "replica_subscribe", "subscriber_id": subscriber, "topic": topic}),
        json!({"action": "replica_pull", "subscriber_id": subscriber, "topic": topic, "from": 0}),
        json!({"action": "locate", "topic": topic}),
        json!({"action": "locate", "topic": "both-nowhere"}),
        json!({"action": "cluster"}),
        json!({"action": "set_link", "from": "000", "to": "001", "delay_ms": 0, "jitter_ms": 0, "loss": 0.0}),
        json!({"action": "recover_node", "node": "011"}),
        json!({"action": "watch", "kinds": ["warnings"]}),
        json!({"action": "delete_topic", "publisher_id": "both-q", "topic": topic}),
        json!({"action": "unsubscribe", "subscriber_id": subscriber, "topic": topic}),
        json!({"action": "unsubscribe", "subscriber_id": subscriber, "topic": topic}),
        json!({"action": "delete_topic", "publisher_id": publisher, "topic": topic}),
        json!({"action": "delete_topic", "publisher_id": publisher, "topic": topic}),
    ]
}

#[tokio::test]
async fn json_and_binary_give_the_same_results_for_the_same_requests() {
    let cluster = ProcessCluster::shared().await;
    let at = cluster.home("both-encodings");
    let mut client = cluster.client(at).await;
    for name in ["both-p", "both-q"] {
        client.must(json!({"action": "create_publisher", "publisher_id": name})).await;
    }
    client.must(json!({"action": "create_subscriber", "subscriber_id": "both-s"})).await;
    for (number, request) in conversation().into_iter().enumerate() {
        assert!(request["action"].is_string(), "{number}: {request}");
    }
    let mut in_json = Vec::new();
    for (id, request) in numbered() {
        client.send_text(request.to_string()).await.expect("the connection stands");
        in_json.push((id, timeless(client.any_answer().await)));
    }
    let mut client = cluster.client(at).await;
    for ((id, expected), (_, request)) in in_json.into_iter().zip(numbered()) {
        let answer = timeless(ask_in_binary(&mut client, &request).await);
        assert_eq!(answer["id"], id, "{answer}");
        assert_eq!(answer, expected, "the answer to {request}");
    }
}

/// With every type of id.
fn numbered() -> impl Iterator<Item = (Value, Value)> {
    conversation().into_iter().enumerate().map(|(number, mut request)| {
        let id = match number % 4 {
            0 => json!(number),
            1 => json!(-(number as i64)),
            2 => json!(number as f64 + 0.5),
            _ => json!(format!("request {number}")),
        };
        request["id"] = id.clone();
        request["trace"] = json!(number % 2 == 0);
        (id, request)
    })
}

async fn ask_in_binary(client: &mut Client, request: &Value) -> Value {
    let seating = Seating::founding(Dimension::new(3).expect("a good dimension"));
    let request = wire_json::parse_request(&request.to_string(), &Limits::default(), &seating).expect("a good request");
    client.send_binary(binary::encode_requests(&[request])).await.expect("the connection stands");
    let frames = binary::decode_server_frames(&client.binary().await.expect("an answer")).expect("an answer in binary");
    let [frame @ ServerFrame::Answer(_)] = frames.as_slice() else { panic!("{frames:?}") };
    serde_json::from_str(&wire_json::render(frame)).expect("JSON")
}

/// Without values that differ each time: the time of a message, and the id of a topic that was created again.
fn timeless(mut answer: Value) -> Value {
    for message in answer["messages"].as_array_mut().into_iter().flatten() {
        assert!(message["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{message}");
        message["time"] = Value::Null;
    }
    if let Some(id) = answer.get_mut("topic_id") {
        assert!(id.is_u64(), "{id}");
        *id = Value::Null;
    }
    answer
}
