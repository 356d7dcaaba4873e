//! Clients: correct, confused and hostile.

use std::time::Duration;

use cubecast_core::io::Input;
use cubecast_core::wire::answer::{ErrorCode, ServerFrame};
use cubecast_core::wire::binary;
use cubecast_core::wire::client::{Action, Local, Request, RequestId};
use cubecast_node::transport::Limits;
use cubecast_node::transport::handshake::SUBPROTOCOL;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::support::{Client, Options, in_time, open, start};

#[tokio::test]
async fn a_text_request_gets_a_text_answer_and_a_binary_one_a_binary_answer() {
    let node = start(Options::of("00")).await;
    let mut client = node.client().await;
    let answer = client.ask(r#"{"id": 7, "action": "locate", "topic": "news"}"#).await;
    assert_eq!((&answer["id"], &answer["ok"], &answer["served_by"]), (&7.into(), &true.into(), &"00".into()));

    let requests: Vec<_> = (0..3)
        .map(|id| Request { id: Some(RequestId::Unsigned(id)), trace: false, action: Action::Local(Local::Cluster) })
        .collect();
    client.socket.send(Message::binary(binary::encode_requests(&requests))).await.unwrap();
    let mut ids = Vec::new();
    while ids.len() < 3 {
        for frame in binary::decode_server_frames(&client.next().await.into_data()).unwrap() {
            let ServerFrame::Answer(answer) = frame else { panic!("expected an answer") };
            ids.push(answer.id);
        }
    }
    assert_eq!(ids, requests.into_iter().map(|request| request.id).collect::<Vec<_>>());
    assert_eq!(client.ask(r#"{"id": 8, "action": "cluster"}"#).await["id"], 8);
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_the_connection_goes_on() {
    let mut node = start(Options::of("00")).await;
    let mut client = node.client().await;
    for (text, code) in
        [("rubbish", "bad_request"), ("{}", "bad_request"), (r#"{"id": 1, "action": "fly"}"#, "unknown_action")]
    {
        let answer = client.ask(text).await;
        assert_eq!((&answer["ok"], &answer["error"]["code"]), (&false.into(), &code.into()), "{answer}");
        assert_eq!(answer["served_by"], "00");
    }
    client.socket.send(Message::binary(vec![0xff; 100])).await.unwrap();
    let frames = binary::decode_server_frames(&client.next().await.into_data()).unwrap();
    let [ServerFrame::Answer(answer)] = frames.as_slice() else { panic!("expected one answer, got {frames:?}") };
    assert_eq!(answer.result.as_ref().unwrap_err().code, ErrorCode::BadRequest);
    assert_eq!(client.ask(r#"{"action": "cluster"}"#).await["ok"], true);

    // None of the malformed requests reached core.
    node.sees(
        "the last request",
        |input| matches!(input, Input::ClientRequest { request, .. } if request.id.is_none()),
    )
    .await;
}

#[tokio::test]
async fn content_over_its_limit_is_too_large_and_bears_its_id() {
    let node = start(Options::of("00")).await;
    let mut client = node.client().await;
    let content = "x".repeat((1 << 20) + 1);
    let text =
        format!(r#"{{"id": "big", "action": "publish", "publisher_id": "p", "topic": "t", "content": "{content}"}}"#);
    let answer = client.ask(&text).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&"big".into(), &"too_large".into()));
    assert_eq!(client.ask(r#"{"id": 2, "action": "cluster"}"#).await["ok"], true);
}

#[tokio::test]
async fn a_message_over_the_limit_is_answered_then_closed_and_others_go_on() {
    let limits = Limits { client_message: 1 << 20, ..Limits::default() };
    let node = start(Options { limits, ..Options::of("00") }).await;
    let mut other = node.client().await;
    let client = node.client().await;
    // The rest of the message is sent while the answer is on its way.
    let (mut sink, mut stream) = client.socket.split();
    let sending = tokio::spawn(async move { sink.send(Message::text("x".repeat(8 << 20))).await });
    let answer = in_time("the answer", stream.next()).await.unwrap().unwrap();
    assert!(answer.to_text().unwrap().contains("too_large"), "{answer}");
    let close = in_time("the close frame", stream.next()).await.unwrap().unwrap();
    let Message::Close(Some(frame)) = close else { panic!("expected a close frame, got {close:?}") };
    assert_eq!(u16::from(frame.code), 1009);
    // Whether all of it could be sent depends on the network.
    drop(sending.await);
    assert_eq!(other.ask(r#"{"action": "cluster"}"#).await["ok"], true);
}

#[tokio::test]
async fn half_a_frame_disturbs_nobody() {
    let mut node = start(Options::of("00")).await;
    let mut other = node.client().await;
    let mut halved = node.client().await;
    // A masked text frame of 100 bytes, of which ten are sent.
    let mut half = vec![0x81, 0x80 | 100, 1, 2, 3, 4];
    half.extend([0; 10]);
    halved.socket.get_mut().write_all(&half).await.unwrap();
    assert_eq!(other.ask(r#"{"action": "cluster"}"#).await["ok"], true);
    drop(halved);
    node.sees("the end of the half frame's connection", |input| matches!(input, Input::ClientDisconnected { .. }))
        .await;
    assert_eq!(other.ask(r#"{"action": "cluster"}"#).await["ok"], true);
}

#[tokio::test]
async fn against_the_websocket_protocol_is_closed_with_a_reason() {
    let node = start(Options::of("00")).await;
    let mut client = node.client().await;
    // A frame with reserved bits set.
    client.socket.get_mut().write_all(&[0xf1, 0x80, 0, 0, 0, 0]).await.unwrap();
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1002, "{reason}");
}

#[tokio::test]
async fn a_client_that_never_reads_is_not_read_either_and_others_are_served() {
    let mut node = start(Options::of("00")).await;
    let mut other = node.client().await;
    let silent = node.client().await;
    let (mut sink, _never_read) = silent.socket.split();
    let asking = tokio::spawn(async move {
        loop {
            let pull = r#"{"action": "pull", "subscriber_id": "s", "topic": "t", "max": 1000}"#;
            if sink.send(Message::text(pull)).await.is_err() {
                return;
            }
        }
    });
    // Each answer has a megabyte, so the client's queue soon exceeds its limit and the client is dismissed.
    node.sees("the dismissal", |input| matches!(input, Input::ClientDisconnected { .. })).await;
    assert_eq!(other.ask(r#"{"action": "cluster"}"#).await["ok"], true);
    in_time("the end of the silent client's socket", asking).await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_gets_all_its_answers_however_many_it_asks_at_once() {
    let limits = Limits { unanswered: 8, ..Limits::default() };
    let node = start(Options { limits, ..Options::of("00") }).await;
    let (mut sink, mut stream) = node.client().await.socket.split();
    let asking = tokio::spawn(async move {
        for id in 0..1000 {
            sink.send(Message::text(format!(r#"{{"id": {id}, "action": "cluster"}}"#))).await.unwrap();
        }
        sink
    });
    for id in 0..1000 {
        let answer = in_time("an answer", stream.next()).await.unwrap().unwrap();
        assert!(answer.to_text().unwrap().contains(&format!("\"id\":{id},")), "{answer}");
    }
    drop(asking.await);
}

#[tokio::test]
async fn what_has_left_is_told_to_core_in_its_own_measure() {
    let mut node = start(Options::of("00")).await;
    let mut client = Client { socket: open(&node.address, &[]).await.unwrap() };
    client.ask(r#"{"action": "pull", "subscriber_id": "s", "topic": "t", "max": 2}"#).await;
    let drained = node.sees("the drain", |input| matches!(input, Input::ClientDrained { .. })).await;
    let Input::ClientDrained { bytes, .. } = drained else { unreachable!() };
    assert!((2048..3072).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn one_client_more_than_the_limit_is_told_503() {
    let limits = Limits { clients: 1, ..Limits::default() };
    let mut node = start(Options { limits, ..Options::of("00") }).await;
    let first = node.client().await;
    let refused = open(&node.address, &[]).await.unwrap_err();
    assert!(refused.contains("503"), "{refused}");
    drop(first);
    node.sees("the first client's end", |input| matches!(input, Input::ClientDisconnected { .. })).await;
}

#[tokio::test]
async fn who_pings_and_reads_nothing_is_read_no_further() {
    let node = start(Options::of("00")).await;
    let mut other = node.client().await;
    for headers in [&[][..], &[("sec-websocket-protocol", SUBPROTOCOL)]] {
        let mut deaf = open(&node.address, headers).await.unwrap();
        let stream = deaf.get_mut();
        let mut ping = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
        ping.extend([7; 125]);
        let pings = ping.repeat(1000);
        let mut taken = 0;
        // Writing stops when the buffers of both sides are full. An unproven neighbour may be disconnected earlier.
        while let Ok(Ok(())) = timeout(Duration::from_secs(2), stream.write_all(&pings)).await {
            taken += pings.len();
            assert!(taken < 128 << 20, "the node goes on reading: {taken} bytes");
        }
        assert_eq!(other.ask(r#"{"action": "cluster"}"#).await["ok"], true);
    }
}

#[tokio::test]
async fn who_asks_for_nothing_is_closed_after_a_while_and_who_has_asked_is_not() {
    let limits = Limits { first_request: Duration::from_millis(300), ..Limits::default() };
    let node = start(Options { limits, ..Options::of("00") }).await;
    let mut asking = node.client().await;
    let mut silent = Client { socket: open(&node.address, &[]).await.unwrap() };
    let (code, reason) = silent.closed().await;
    assert_eq!((code, reason.as_str()), (1008, "no request within 0.3 s"));
    assert_eq!(asking.ask(r#"{"action": "cluster"}"#).await["ok"], true);
}

#[tokio::test]
async fn one_address_gets_no_more_than_its_places() {
    let limits = Limits { clients: 100, clients_of_one: 1, ..Limits::default() };
    let node = start(Options { limits, ..Options::of("00") }).await;
    let _first = node.client().await;
    let refused = open(&node.address, &[]).await.unwrap_err();
    assert!(refused.contains("503"), "{refused}");
}

#[tokio::test]
async fn at_the_end_of_a_node_its_clients_are_told() {
    let node = start(Options::of("00")).await;
    let mut client = node.client().await;
    node.begin_stop();
    assert_eq!(client.closed().await, (1001, "the node is shutting down".into()));
    assert_eq!(node.stop().await, Ok(()));
}

#[tokio::test]
async fn an_idle_client_is_pinged_and_stays() {
    let limits = Limits { silence: Duration::from_millis(600), ..Limits::default() };
    let node = start(Options { limits, ..Options::of("00") }).await;
    let mut client = node.client().await;
    for _ in 0..6 {
        // The library answers pings while it reads.
        assert!(matches!(client.next().await, Message::Ping(_)));
    }
    client.send(r#"{"id": 1, "action": "cluster"}"#).await;
    let answered = async { while !matches!(client.next().await, Message::Text(_)) {} };
    in_time("the answer", answered).await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_gone_and_its_subscriptions_with_it() {
    let limits = Limits { silence: Duration::from_millis(600), ..Limits::default() };
    let mut node = start(Options { limits, ..Options::of("00") }).await;
    let mut silent = node.client().await;
    node.sees("its end", |input| matches!(input, Input::ClientDisconnected { .. })).await;
    let (code, reason) = silent.closed().await;
    assert_eq!(code, 1008, "{reason}");
    assert!(reason.contains("the client sent nothing"), "{reason}");
}
