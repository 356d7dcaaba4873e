//! The limits of a group.

use super::*;

#[test]
fn the_limits_are_refused_with_a_reason() {
    let mut group = Group::with_topic("ann", "news");
    for number in 1..MAX_TOPICS {
        group.apply(create("ann", &format!("t{number}"))).unwrap();
    }
    let failure = group.apply(create("ann", "one-more")).unwrap_err();
    assert_eq!(failure.code, ErrorCode::LimitReached);
    assert!(failure.message.contains("100000 topics"), "{failure}");
    group.apply(delete("ann", "t1")).unwrap();
    group.apply(create("ann", "one-more")).unwrap();
}

#[test]
fn the_topics_of_a_group_are_limited_by_bytes() {
    let mut group = Group::with_topic("ann", "news");
    let owner = "o".repeat(255);
    let long = |number: u64| format!("{number:0>255}");
    let many = (0..).take_while(|number| group.apply(create(&owner, &long(*number))).is_ok()).count() as u64;
    assert!((40_000..60_000).contains(&many), "{many} topics");
    let full = group.topics.sizes();
    assert!(full.topic_bytes <= MAX_TOPIC_BYTES);
    assert_eq!(group.apply(create(&owner, &long(many))).unwrap_err().code, ErrorCode::LimitReached);
    assert_eq!(Topics::decode(&group.topics.encode()).unwrap().sizes(), full, "a restart counts the same");
    group.apply(delete(&owner, &long(0))).unwrap();
    group.apply(create(&owner, &long(many + 1))).unwrap();
    assert_eq!(group.topics.sizes().topic_bytes, full.topic_bytes);
}

#[test]
fn repeats_of_all_topics_of_a_group_are_limited_by_bytes() {
    let mut group = Group::with_topic("ann", "news");
    for sequence in [1, 2, 3] {
        group.publish(Some(sequence), "x").unwrap();
    }
    for number in 0..40 {
        let name = format!("t{number}");
        group.apply(create("ann", &name)).unwrap();
        for publisher in 0..MAX_PRODUCERS {
            let publisher = PublisherId::new(format!("{publisher:0>255}")).unwrap();
            let (topic, sequence) = (topic(&name), Some(Sequence(0)));
            group.apply(Op::Publish { publisher, topic, sequence, content: "x".into() }).unwrap();
        }
        let bytes = group.topics.sizes().dedup;
        assert!(bytes <= MAX_REPEAT_BYTES && bytes > number * MAX_PRODUCERS * 160, "{bytes} bytes after {number}");
    }
    let full = group.topics.sizes();
    assert_eq!(Topics::decode(&group.topics.encode()).unwrap().sizes(), full, "a restart counts the same");
    let repeated = group.publish(Some(1), "x").unwrap();
    assert_eq!(repeated, Outcome::Published { offset: Offset(0), repeated: true }, "smaller topics remember");
    group.apply(delete("ann", "t39")).unwrap();
    assert!(group.topics.sizes().dedup < full.dedup);
}

#[test]
fn the_subscriptions_of_all_topics_of_a_group_are_limited_by_bytes() {
    let mut group = Group::with_topic("ann", "news");
    group.apply(create("ann", "olds")).unwrap();
    let subscribe = |number: u64, to: &str| {
        let subscriber = SubscriberId::new(format!("s{number}")).unwrap();
        Op::Subscribe { subscriber, topic: topic(to), from: None }
    };
    let to = |number: u64| if number.is_multiple_of(2) { "news" } else { "olds" };
    let many = (0..).take_while(|number| group.apply(subscribe(*number, to(*number))).is_ok()).count() as u64;
    assert!((80_000..120_000).contains(&many), "{many} subscriptions");
    let failure = group.apply(subscribe(many, "news")).unwrap_err();
    assert_eq!(failure.code, ErrorCode::LimitReached);
    assert!(
        failure.message.contains("limit of 64 MiB") && failure.message.contains("end unused subscriptions"),
        "{failure}"
    );
    assert!(group.topics.sizes().subscriptions <= MAX_SUBSCRIPTION_BYTES);
    group.apply(subscribe(0, "news")).expect("the subscription is there already");

    let full = group.topics.sizes();
    assert_eq!(Topics::decode(&group.topics.encode()).unwrap().sizes(), full, "a restart counts the same");
    let subscriber = SubscriberId::new("s0").unwrap();
    group.apply(Op::Unsubscribe { subscriber, topic: topic("news") }).unwrap();
    group.apply(subscribe(many + 1, "news")).unwrap();
    group.apply(delete("ann", "olds")).unwrap();
    assert!(group.topics.sizes().subscriptions < full.subscriptions * 2 / 3);
}
