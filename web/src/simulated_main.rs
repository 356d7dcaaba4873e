//! Mounts the dashboard of a cluster that is simulated in the page.

fn main() {
    yew::Renderer::<cubecast_web::ui::SimulatedApp>::new().render();
}
