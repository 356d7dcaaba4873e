//! `cubecast-lab scale`: measures in virtual time how routing, failure detection and leadership scale with the cube.

mod geometry;
mod graph;
mod print;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cubecast_core::cube::Dimension;
use cubecast_node::failure::Failure;
use cubecast_node::output::raw;
use cubecast_sim::scale::{Figures, Sizes, measure};
use serde::{Deserialize, Serialize};

use crate::output::{ReportFormat, remark};

/// Measure how hops, messages and time grow with the cube.
///
/// Runs whole clusters with the nodes' own code in virtual time, one for each dimension. Sends requests across them,
/// kills homes, hangs nodes, and counts hops, frames and virtual time. The same seed gives the same figures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast-lab scale\n    \
    cubecast-lab scale --dimensions 2-6 --seed 7\n    \
    cubecast-lab scale --dimensions 3,5 --format json\n    \
    cubecast-lab scale --format markdown --graph scale.svg\n    \
    cubecast-lab scale --figures scale.json --graph scale.svg")]
pub struct Args {
    /// Dimensions to measure: `4-10`, or a list like `3,5,8`.
    #[arg(long, value_name = "FROM-TO|D,...", default_value = "4-10", value_parser = dimensions)]
    dimensions: Dimensions,
    /// The seed of every cluster.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The number of requests across each cube.
    #[arg(long, value_name = "N", default_value_t = Sizes::default().probes)]
    probes: u32,
    /// The number of homes that are killed in each cube, one after the other.
    #[arg(
        long,
        value_name = "N",
        default_value_t = Sizes::default().failures,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    failures: u32,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    /// Print and draw the figures of an earlier run with --format json, without a measurement.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dimensions", "seed", "probes", "failures"])]
    figures: Option<PathBuf>,
    /// Also draw the figures into this SVG file.
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
}

/// At least one dimension, in the order of measurement.
#[derive(Clone, Debug, PartialEq)]
struct Dimensions(Vec<Dimension>);

/// The largest cube that is measured: 1,024 nodes.
const LARGEST: u8 = 10;

/// The sizes of the measurements, and the figures of each cube.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Measured {
    sizes: Sizes,
    cubes: Vec<Figures>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let measured = match &args.figures {
        Some(file) => read(file)?,
        None => measure_all(args),
    };
    if let Some(path) = &args.graph {
        std::fs::write(path, graph::svg(&measured.cubes)).map_err(|error| failed(path, error))?;
        remark(&format!("graph written to {}", path.display()));
    }
    raw(&print::report(args.format, &measured))
}

fn read(file: &Path) -> Result<Measured, Failure> {
    let text = std::fs::read(file).map_err(|error| failed(file, error))?;
    serde_json::from_slice(&text).map_err(|error| failed(file, error))
}

fn failed(path: &Path, error: impl Display) -> Failure {
    Failure::new(Failure::FAILED, format!("{}: {error}", path.display()))
}

fn measure_all(args: &Args) -> Measured {
    let sizes = Sizes { probes: args.probes, failures: args.failures, ..Sizes::default() };
    let cubes = args.dimensions.0.iter().map(|dimension| measured(*dimension, args.seed, &sizes)).collect();
    Measured { sizes, cubes }
}

fn measured(dimension: Dimension, seed: u64, sizes: &Sizes) -> Figures {
    let began = Instant::now();
    let figures = measure(dimension, seed, sizes, &mut |what| {
        remark(&format!("d = {}: {what} ({:.0} s)", dimension.bits(), began.elapsed().as_secs_f64()));
    });
    remark(&format!("d = {}: done in {:.1} s", dimension.bits(), began.elapsed().as_secs_f64()));
    figures
}

fn dimensions(text: &str) -> Result<Dimensions, String> {
    let one = |text: &str| -> Result<u8, String> {
        let bits = text.trim().parse().map_err(|_| format!("`{text}` is not a dimension"))?;
        if (2..=LARGEST).contains(&bits) {
            Ok(bits)
        } else {
            Err(format!("only dimensions 2 to {LARGEST} can be measured"))
        }
    };
    let bits: Vec<u8> = match text.split_once('-') {
        Some((from, to)) => (one(from)?..=one(to)?).collect(),
        None => text.split(',').map(one).collect::<Result<_, _>>()?,
    };
    if bits.is_empty() {
        return Err(format!("{text}: the first dimension must not be larger than the last"));
    }
    Ok(Dimensions(bits.into_iter().map(|bits| Dimension::new(bits).expect("it was checked")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of cubes that are measured quickly.
    pub(super) fn small() -> Vec<Figures> {
        let sizes = Sizes { probes: 40, publishes: 10, failures: 1, ..Sizes::default() };
        let cube = |bits| measure(Dimension::new(bits).unwrap(), 1, &sizes, &mut |_| {});
        (3..=4).map(cube).collect()
    }

    #[test]
    fn figures_that_were_written_are_read_again() {
        let measured = Measured { sizes: Sizes::default(), cubes: small() };
        let json = print::report(ReportFormat::Json, &measured);
        assert_eq!(serde_json::from_str::<Measured>(&json).unwrap(), measured);
    }

    #[test]
    fn dimensions_are_a_range_or_a_list() {
        let bits = |text| dimensions(text).map(|given| given.0.iter().map(|d| d.bits()).collect::<Vec<_>>());
        assert_eq!(bits("4-6"), Ok(vec![4, 5, 6]));
        assert_eq!(bits("3, 5"), Ok(vec![3, 5]));
        for wrong in ["", "1-3", "6-4", "11", "three", "4-"] {
            assert!(bits(wrong).is_err(), "{wrong}");
        }
    }
}
