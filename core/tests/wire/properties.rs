//! Properties that hold for any bytes, any text and any request.

use cubecast_core::wire::binary::*;
use cubecast_core::wire::client::{Action, Request, RequestId, Write};
use cubecast_core::wire::json::parse_request;
use cubecast_core::wire::limits::Limits;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::examples::*;
use crate::seating;

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_all(&bytes);
        bytes.splice(0..0, [FORMAT, 3]);
        decode_all(&bytes);
    }

    #[test]
    fn no_flipped_bit_makes_a_decoder_panic(requests in requests(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = encode_requests(&requests);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        decode_all(&bytes);
        decode_all(&bytes[..at]);
    }

    #[test]
    fn every_request_survives_binary(requests in requests()) {
        let decoded = decode_requests(&encode_requests(&requests), &Limits::default(), &seating());
        prop_assert_eq!(decoded, requests.into_iter().map(Ok).collect::<Vec<_>>());
    }

    #[test]
    fn a_cut_message_is_refused_after_the_requests_that_are_whole(
        requests in requests(),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = encode_requests(&requests);
        let cut = cut.index(bytes.len());
        let mut decoded = decode_requests(&bytes[..cut], &Limits::default(), &seating());
        let last = decoded.pop();
        prop_assert!(matches!(last, Some(Err(_))));
        prop_assert!(decoded.len() < requests.len());
        prop_assert!(decoded.iter().zip(&requests).all(|(decoded, sent)| decoded.as_ref() == Ok(sent)));
    }

    #[test]
    fn no_text_makes_the_parser_panic(
        text in ".{0,200}",
        fields in json_object(),
        cut in any::<prop::sample::Index>(),
    ) {
        let _ = parse_request(&text, &Limits::default(), &seating());
        let object = fields.to_string();
        let _ = parse_request(&object, &Limits::default(), &seating());
        let cut = object.floor_char_boundary(cut.index(object.len()));
        prop_assert!(parse_request(&object[..cut], &Limits::default(), &seating()).is_err());
    }

    #[test]
    fn any_request_with_any_content_means_the_same_in_json(
        content in ".{0,40}",
        id in id(),
        sequence in prop::option::of(any::<u64>()),
    ) {
        let object = json!({"action": "publish", "publisher_id": "ann", "topic": "news",
            "content": &content, "sequence": sequence});
        let text = format!(r#"{{"id":{},{}"#, id_json(&id), &object.to_string()[1..]);
        let parsed = parse_request(&text, &Limits::default(), &seating()).unwrap();
        let decoded = decode_requests(&encode_requests(std::slice::from_ref(&parsed)), &Limits::default(), &seating());
        prop_assert_eq!(&parsed.id, &id);
        let kept = matches!(
            &parsed.action,
            Action::Write(Write::Publish { content: given, .. }) if **given == *content
        );
        prop_assert!(kept);
        prop_assert_eq!(decoded, vec![Ok(parsed)]);
    }
}

fn decode_all(bytes: &[u8]) {
    let _ = decode_requests(bytes, &Limits::default(), &seating());
    let _ = decode_server_frames(bytes);
    let _ = decode_peer_frames(bytes, &seating());
    let mut fitting = bytes.to_vec();
    let_peer_message_fit(&mut fitting);
    let _ = decode_peer_frames(&fitting, &seating());
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let actions: Vec<Action> = actions().into_iter().map(|(_, action)| action).collect();
    let request = (id(), any::<bool>(), prop::sample::select(actions)).prop_map(|(id, trace, action)| Request {
        id,
        trace,
        action,
    });
    prop::collection::vec(request, 1..20)
}

fn id() -> impl Strategy<Value = Option<RequestId>> {
    prop_oneof![
        Just(None),
        any::<u64>().prop_map(|id| Some(RequestId::Unsigned(id))),
        (i64::MIN..0).prop_map(|id| Some(RequestId::Signed(id))),
        "-?[1-9][0-9]{0,30}\\.[0-9]{1,30}(e[0-9]{1,3})?".prop_map(|id| Some(RequestId::Number(id))),
        ".{0,20}".prop_map(|id| Some(RequestId::Text(id))),
    ]
}

fn id_json(id: &Option<RequestId>) -> String {
    match id {
        None => "null".into(),
        Some(RequestId::Unsigned(id)) => id.to_string(),
        Some(RequestId::Signed(id)) => id.to_string(),
        Some(RequestId::Number(id)) => id.clone(),
        Some(RequestId::Text(id)) => json!(id).to_string(),
    }
}

/// Objects with known field names and any scalar, list or object as values.
fn json_object() -> impl Strategy<Value = Value> {
    let names =
        vec!["id", "action", "topic", "topic_name", "publisher_id", "from", "kinds", "max", "node", "loss", "unknown"];
    let words = vec!["publish", "watch", "set_link", "pull", "beginning", "000", "news", "states", ""];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        prop::sample::select(words).prop_map(|value| json!(value)),
    ];
    let value = scalar.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|list| json!(list)),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..5).prop_map(|map| json!(map)),
        ]
    });
    prop::collection::btree_map(prop::sample::select(names), value, 0..8).prop_map(|map| json!(map))
}
