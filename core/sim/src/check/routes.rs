//! Routes are walks along edges of the cube, without loops.
//!
//! The hops of an answer begin with the node that was asked and end with the node that served the request. Each is a
//! neighbour of the previous one, none occurs twice, and there are no more edges than a packet may cross.

use std::collections::BTreeSet;

use cubecast_core::route::hop_limit;
use cubecast_core::seating::Seating;
use cubecast_core::wire::client::{Action, Write};

use super::case::Case;
use super::history::{Answered, Operation};
use super::words::Told;
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for operation in &case.evidence.history.operations {
        if let Some(answered) = operation.answered.as_ref().filter(|answered| !answered.hops.is_empty()) {
            check_walk(operation, answered).map_err(|why| {
                let walk: Vec<String> = answered.hops.iter().map(|node| node.to_string()).collect();
                Broken(format!("{} took the route {}: {why}", Told(operation), walk.join(" -> ")))
            })?;
            checked += 1;
        }
    }
    Ok(Checked(checked))
}

fn check_walk(operation: &Operation, answered: &Answered) -> Result<(), String> {
    let hops = &answered.hops;
    let (first, last) = (hops[0], hops[hops.len() - 1]);
    let seating = Seating::founded_by(first);
    if first != operation.node {
        return Err(format!("it was sent to {}, not to {first}", operation.node));
    }
    // The leader performs the subscribe, but the asked node's replica serves the subscription.
    let end = if matches!(operation.action, Action::Write(Write::ReplicaSubscribe { .. })) {
        last
    } else {
        answered.served_by
    };
    if last != end {
        return Err(format!("it was served by {end}, but the route ends on {last}"));
    }
    if let Some(pair) = hops.windows(2).find(|pair| seating.edge(pair[0], pair[1]).is_none()) {
        return Err(format!("there is no edge from {} to {}", pair[0], pair[1]));
    }
    let mut met = BTreeSet::new();
    if let Some(again) = hops.iter().find(|node| !met.insert(**node)) {
        return Err(format!("it visited {again} twice"));
    }
    let limit = usize::from(hop_limit(seating.dimension()));
    match hops.len() - 1 {
        edges if edges > limit => Err(format!("{edges} edges exceed the limit of {limit}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::check;

    #[test]
    fn walks_over_edges_pass() {
        let mut story = Story::new();
        story.pull(10..20).saw(0, []).crossed(["010", "000", "100"]);
        story.pull(10..20).saw(0, []);
        assert_eq!(story.passes(check), 1);
    }

    #[test]
    fn a_replica_serves_a_subscription_that_its_leader_made() {
        let mut story = Story::new();
        story.replica_subscribe(10..20).subscribed(0).crossed(["010", "000", "100"]);
        assert_eq!(story.passes(check), 1);
    }

    #[test]
    fn every_way_of_going_astray_is_named() {
        for (hops, why) in [
            (vec!["000", "100"], "sent to 010, not to 000"),
            (vec!["010", "000"], "served by 100, but the route ends on 000"),
            (vec!["010", "100"], "no edge from 010 to 100"),
            (vec!["010", "011", "010", "000", "100"], "visited 010 twice"),
            (vec!["010", "000", "100", "100"], "no edge from 100 to 100"),
        ] {
            let mut story = Story::new();
            story.pull(10..20).saw(0, []).crossed(hops);
            story.fails(check, &[why, "pull on `news`", " -> "]);
        }
    }
}
