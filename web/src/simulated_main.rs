//! Mounts the dashboard of a cluster that runs in the page.

fn main() {
    yew::Renderer::<cubecast_web::ui::SimulatedApp>::new().render();
}
