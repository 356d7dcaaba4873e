//! Growth with the cube, on cubes small enough to measure in a test.

use cubecast_core::cube::Dimension;
use cubecast_sim::scale::{EDGE, Figures, Sizes, measure, theory};

const SIZES: Sizes = Sizes { probes: 200, publishes: 20, failures: 2, dead_share: 0.15 };

fn cube(dimension: u8, seed: u64) -> Figures {
    measure(Dimension::new(dimension).unwrap(), seed, &SIZES, &mut |_| {})
}

#[test]
fn in_a_whole_cube_every_request_takes_a_shortest_way_and_two_frames_an_edge() {
    for dimension in 2..=4 {
        let whole = cube(dimension, 1).whole;
        assert_eq!((whole.delivered, whole.shortest), (1.0, 1.0), "d = {dimension}");
        assert_eq!(whole.hops.mean, whole.mean_distance, "d = {dimension}");
        assert!((whole.hops.mean - theory::mean_hops(dimension)).abs() < 0.3, "d = {dimension}: {whole:?}");
        assert!(whole.hops.most <= f64::from(dimension), "d = {dimension}: {whole:?}");
        assert!((whole.frames - 2.0 * whole.hops.mean).abs() < 1e-9, "d = {dimension}: {whole:?}");
    }
}

#[test]
fn around_dead_nodes_requests_take_the_shortest_way_that_is_left() {
    let broken = cube(4, 2).broken;
    assert_eq!((broken.dead_nodes, broken.delivered, broken.shortest), (2, 1.0, 1.0));
    assert_eq!(broken.hops.mean, broken.mean_shortest);
    assert!(broken.mean_shortest >= broken.mean_distance);
}

#[test]
fn all_know_of_a_death_within_the_edges_of_theory_and_for_the_frames_of_one_flood_a_neighbour() {
    for dimension in 2..=4 {
        let figures = cube(dimension, 3);
        let news = figures.news;
        // The state is sampled ten times per edge delay, so the figure may be late by one sample.
        let most = (theory::news_edges(dimension) + 0.1) * EDGE.as_micros() as f64 / 1e3;
        assert!(news.first_ms <= news.median_ms && news.median_ms <= news.last_ms, "d = {dimension}: {news:?}");
        assert!(news.slowest_ms <= most, "d = {dimension}: {news:?}");
        let flood = theory::flood_of_a_death(dimension) * figures.nodes as f64;
        assert!(news.frames > 0.0 && news.frames <= flood, "d = {dimension}: {news:?}");
        assert!(figures.silence.last_ms > 500.0 && figures.silence.last_ms < 750.0, "{:?}", figures.silence);
    }
}

#[test]
fn a_killed_home_is_replaced_within_a_second_and_leads_again() {
    for dimension in 2..=4 {
        let failover = cube(dimension, 4).failover;
        assert!(failover.led_ms.least > 0.0 && failover.led_ms.most < 1_000.0, "d = {dimension}: {failover:?}");
        assert!(failover.acknowledged_ms.least >= failover.led_ms.least, "d = {dimension}: {failover:?}");
        assert!(failover.returned_ms.least > 0.0, "d = {dimension}: {failover:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_one_others() {
    assert_eq!(cube(3, 5), cube(3, 5));
    assert_ne!(cube(3, 5).trace, cube(3, 6).trace);
}
