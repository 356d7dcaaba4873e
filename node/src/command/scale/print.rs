use cubecast_core::sim::scale::{Figures, Sizes};
use super::ReportFormat;
pub(super) fn report(_format: ReportFormat, figures: &[Figures], sizes: &Sizes) -> String {
    serde_json::json!({ "sizes": sizes, "cubes": figures }).to_string()
}
