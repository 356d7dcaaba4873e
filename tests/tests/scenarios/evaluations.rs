//! The evaluations of the source system's report, on real processes: 1 to 5 and 8. (6 and 7 are benchmarks.)

use cubecast_tests::client::pull_until;
use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::process::run_lab;
use cubecast_tests::publishing::publish_many;
use cubecast_tests::replicas::assert_replicas_equal_and_complete;
use serde_json::json;

#[tokio::test]
async fn evaluation_1_every_api_works_on_every_node() {
    let cluster = ProcessCluster::shared().await;
    for vertex in cluster.vertices() {
        let mut client = cluster.client(vertex).await;
        let (publisher, subscriber, topic) =
            (format!("e1-p{vertex}"), format!("e1-s{vertex}"), format!("e1-t{vertex}"));
        let answer = client.must(json!({"action": "create_publisher", "publisher_id": publisher})).await;
        assert_eq!((&answer["publisher_id"], &answer["existed"]), (&json!(publisher), &json!(false)), "{answer}");
        let answer = client.must(json!({"action": "create_subscriber", "subscriber_id": subscriber})).await;
        assert_eq!((&answer["subscriber_id"], &answer["existed"]), (&json!(subscriber), &json!(false)), "{answer}");
        let answer = client.must(json!({"action": "create_topic", "publisher_id": publisher, "topic": topic})).await;
        assert_eq!(answer["home"], json!(cluster.home(&topic)), "{answer}");
        assert_eq!(answer["replicas"], json!(cluster.home(&topic).neighbours().collect::<Vec<_>>()), "{answer}");
        let answer =
            client.must(json!({"action": "subscribe", "subscriber_id": subscriber, "topic_name": topic})).await;
        assert_eq!(answer["cursor"], 0, "{answer}");
        let answer = client.publish(&publisher, &topic, "hello").await;
        assert_eq!((&answer["offset"], &answer["repeated"]), (&json!(0), &json!(false)), "{answer}");
        let look = json!({"action": "pull", "subscriber_id": subscriber, "topic": topic, "commit": false});
        let answer = client.must(look.clone()).await;
        assert_eq!((&answer["messages"][0]["content"], &answer["cursor"]), (&json!("hello"), &json!(1)), "{answer}");
        assert_eq!(client.contents(look.clone()).await, ["hello"], "nothing was committed");
        let answer =
            client.must(json!({"action": "commit", "subscriber_id": subscriber, "topic": topic, "offset": 1})).await;
        assert_eq!(answer["cursor"], 1, "{answer}");
        assert!(client.contents(look).await.is_empty(), "the cursor stands behind the only message");
        let answer = client.must(json!({"action": "locate", "topic": topic})).await;
        assert_eq!(
            (&answer["exists"], answer["members"].as_array().map(Vec::len)),
            (&json!(true), Some(4)),
            "{answer}"
        );
        let answer = client.must(json!({"action": "topics"})).await;
        assert!(answer["topics"].as_array().is_some_and(|all| all.iter().any(|one| one["topic"] == topic)), "{answer}");
        let answer = client.must(json!({"action": "status"})).await;
        assert_eq!((&answer["node"], &answer["state"]), (&json!(vertex), &json!("up")), "{answer}");
        client.must(json!({"action": "unsubscribe", "subscriber_id": subscriber, "topic": topic})).await;
        assert_eq!(
            client.refused(json!({"action": "pull", "subscriber_id": subscriber, "topic": topic})).await,
            "not_subscribed"
        );
        client.must(json!({"action": "delete_topic", "publisher_id": publisher, "topic": topic})).await;
        assert_eq!(
            client
                .refused(json!({"action": "publish", "publisher_id": publisher, "topic": topic, "content": "x"}))
                .await,
            "unknown_topic"
        );
    }
}

#[tokio::test]
async fn evaluation_1_several_peers_publish_and_subscribe_to_one_topic_at_the_same_time() {
    const COUNT: usize = 25;
    let cluster = ProcessCluster::shared().await;
    let topic = "e1-together";
    let mut owner = cluster.client(cluster.home(topic)).await;
    owner.set_up("e1-owner", "e1-reader", topic).await;
    let readers: Vec<_> = cluster
        .vertices()
        .map(|vertex| {
            let cluster = cluster.clone();
            tokio::spawn(async move {
                let mut client = cluster.client(vertex).await;
                let subscriber = format!("e1-reader{vertex}");
                client.must_eventually(json!({"action": "create_subscriber", "subscriber_id": subscriber})).await;
                client
                    .must(json!({"action": "subscribe", "subscriber_id": subscriber, "topic": topic, "push": true}))
                    .await;
                let mut delivered = Vec::new();
                while delivered.len() < 8 * COUNT {
                    let event = client.event().await;
                    assert_eq!(event["offset"], delivered.len(), "in order, without gap and without double: {event}");
                    delivered.push(event["content"].as_str().expect("content is a string").to_owned());
                }
                delivered
            })
        })
        .collect();
    let published = publish_many(&cluster, 8, topic, COUNT).await;
    let stored = assert_replicas_equal_and_complete(&cluster, topic, &published).await;
    assert_eq!(stored.len(), 8 * COUNT);
    for reader in readers {
        assert_eq!(reader.await.expect("a reader does not panic"), stored);
    }
}

#[tokio::test]
async fn evaluation_2_topics_are_replicated_on_the_right_nodes() {
    let cluster = ProcessCluster::shared().await;
    let mut client = cluster.client(cluster.home("e2")).await;
    client.must(json!({"action": "create_publisher", "publisher_id": "e2-publisher"})).await;
    for (topic, home, replicas) in [
        ("cricket", "111", ["110", "101", "011"]),
        ("topic2", "110", ["111", "100", "010"]),
        ("topic4", "101", ["100", "111", "001"]),
        ("topic16", "010", ["011", "000", "110"]),
    ] {
        let answer =
            client.must(json!({"action": "create_topic", "publisher_id": "e2-publisher", "topic": topic})).await;
        assert_eq!((&answer["home"], &answer["replicas"]), (&json!(home), &json!(replicas)), "{answer}");
        client.must(json!({"action": "create_subscriber", "subscriber_id": "e2-subscriber"})).await;
        client.must(json!({"action": "subscribe", "subscriber_id": "e2-subscriber", "topic": topic})).await;
        client
            .must(json!({
                "action": "publish", "publisher_id": "e2-publisher", "topic": topic, "content": "x", "ack": "all",
            }))
            .await;
        assert_eq!(assert_replicas_equal_and_complete(&cluster, topic, &["x".into()]).await, ["x"]);
        for elsewhere in cluster.vertices().filter(|vertex| !cluster.replicas(topic).contains(vertex)) {
            let mut other = cluster.client(elsewhere).await;
            let request =
                json!({"action": "replica_pull", "subscriber_id": "e2-subscriber", "topic": topic, "from": 0});
            assert_eq!(other.refused(request).await, "not_replica", "node {elsewhere} has no part in {topic}");
        }
    }
}

/// Evaluations 3, 4, 5 and 8 form one story: publish, fail, read from the replicas meanwhile, return, read the old
/// message.
#[tokio::test]
async fn evaluations_3_4_5_and_8_a_failed_home_returns_to_its_state_and_replicas_serve_meanwhile() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    far.publish("publisher1", "news", "before").await;
    let observer = home.across(0).across(1);

    let stopped = far.must(json!({"action": "stop_node", "node": home, "flag": true, "duration_ms": 3_600_000})).await;
    assert_eq!(stopped["node"], json!(home), "{stopped}");
    cluster.wait_until_seen(observer, home, "failed").await;
    assert_eq!(cluster.client(home).await.refused(json!({"action": "topics"})).await, "node_failed");

    // 5: the replicas serve reads, and name the original node.
    far.must_eventually(json!({"action": "create_subscriber", "subscriber_id": "subscriber2"})).await;
    for replica in home.neighbours() {
        let mut client = cluster.client(replica).await;
        let answer = client
            .must_eventually(json!({"action": "replica_subscribe", "subscriber_id": "subscriber2", "topic": "news"}))
            .await;
        assert_eq!((&answer["original_node"], &answer["served_by"]), (&json!(home), &json!(replica)), "{answer}");
        let answer = client
            .must_eventually(json!({"action": "replica_pull", "subscriber_id": "subscriber1", "topic": "news"}))
            .await;
        assert_eq!((&answer["original_node"], &answer["served_by"]), (&json!(home), &json!(replica)), "{answer}");
        // 8: every replica has the messages published before the home failed.
        assert_eq!(answer["messages"][0]["content"], "before", "{answer}");
    }
    far.must_eventually(json!({
        "action": "publish", "publisher_id": "publisher1", "topic": "news", "content": "meanwhile", "sequence": 1,
    }))
    .await;

    // 3 and 4: the home is back in its former state, and has the messages that it missed. (It is stopped and receives
    // nothing from its neighbours, so the request goes to it directly.)
    cluster.client(home).await.must(json!({"action": "recover_node"})).await;
    cluster.wait_until_settled().await;
    let both = ["before".to_owned(), "meanwhile".to_owned()];
    assert_eq!(assert_replicas_equal_and_complete(&cluster, "news", &both).await, both);
    let mut at_home = cluster.client(home).await;
    pull_until(&mut at_home, "subscriber1", "news", &["before", "meanwhile"]).await;
}

#[tokio::test]
async fn evaluation_3_a_failure_ends_by_itself() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    far.publish("publisher1", "news", "kept").await;
    for mode in ["crash", "pause", "wipe"] {
        let mut at_home = cluster.client(home).await;
        let answer =
            at_home.must(json!({"action": "stop_node", "flag": true, "mode": mode, "duration_ms": 1500})).await;
        assert_eq!((&answer["node"], &answer["mode"]), (&json!(home), &json!(mode)), "{answer}");
        cluster.wait_until_seen(home.across(1), home, "failed").await;
        cluster.wait_until_settled().await;
        assert_eq!(assert_replicas_equal_and_complete(&cluster, "news", &["kept".into()]).await, ["kept"]);
    }
}

/// The same with one named command that every user can run.
#[tokio::test]
async fn cubecast_verify_reproduces_every_evaluation() {
    let cluster = ProcessCluster::start().await;
    let address = cluster.address(cluster.home("news"));
    let ended = run_lab(&["verify", "--format", "json", "--cluster", &address]).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    for evaluation in
        ["api", "simultaneous", "placement", "replication", "recovery", "rejoin", "failover", "consistency"]
    {
        assert!(ended.stdout.contains(&format!("\"{evaluation}\"")), "no verdict on {evaluation}: {}", ended.stdout);
    }
    cluster.wait_until_settled().await;
}
