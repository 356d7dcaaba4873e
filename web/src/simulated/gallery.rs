//! Runs that are worth watching, each with a link.

/// A run, and what to see in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exhibit {
    pub id: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// The address of the run.
    pub fragment: &'static str,
}

/// The runs. The first one is shown if the address requests none.
pub const GALLERY: [Exhibit; 6] = [
    Exhibit {
        id: "anything",
        title: "Anything goes",
        about: "Leaders are killed, disks fill up, links drop frames, and then everything is cut off at once.",
        fragment: "#simulated&scenario=anything&d=3&seed=14&topic=lasting0-658",
    },
    Exhibit {
        id: "split-brain",
        title: "Split brain is refused",
        about: "The cube is cut in two. Only the side with a majority accepts publishes.",
        fragment: "#simulated&scenario=split-in-two&seed=3&topic=lasting0-593",
    },
    Exhibit {
        id: "lost-disk",
        title: "A lost disk is refilled",
        about: "A node comes back with an empty disk: without a vote at first, and then complete.",
        fragment: "#simulated&scenario=lost-disks&d=3&seed=1&topic=lasting0-278",
    },
    Exhibit {
        id: "stale-read",
        title: "A stale read",
        about: "A replica that is behind answers at once, and the leader answers correctly.",
        fragment: "#simulated&d=3&lesson=consistency&topic=news",
    },
    Exhibit {
        id: "power-loss",
        title: "The power fails everywhere",
        about: "All nodes stop at once, three times. What was acknowledged is still there.",
        fragment: "#simulated&scenario=power-loss&seed=1&topic=lasting0-278",
    },
    Exhibit {
        id: "rolling-upgrade",
        title: "A rolling upgrade",
        about: "One node after the other restarts, and publishing goes on.",
        fragment: "#simulated&scenario=rolling-crash&seed=1&topic=lasting0-74",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lessons;
    use crate::simulated::{Course, Permalink};

    #[test]
    fn every_run_of_the_gallery_exists_and_has_its_topic() {
        for exhibit in GALLERY {
            let link = Permalink::read(exhibit.fragment).expect(exhibit.id).expect(exhibit.id);
            match (&link.spec.course, &link.lesson) {
                (_, Some(lesson)) => assert!(lessons::lesson(lesson).is_some(), "{}", exhibit.id),
                (Course::Scenario { .. }, None) => {
                    let mut player = crate::simulated::Player::new(link.spec);
                    player.step(1_500);
                    player.settle();
                    let state = player.state();
                    let known: Vec<&str> = state.topics.topics.keys().map(|topic| topic.as_str()).collect();
                    assert!(known.contains(&link.topic.as_str()), "{}: {known:?}", exhibit.id);
                }
                (course, None) => panic!("{}: {course:?}", exhibit.id),
            }
        }
    }
}
