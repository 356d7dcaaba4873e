//! Mounts the dashboard.

fn main() {
    yew::Renderer::<cubecast_web::ui::App>::new().render();
}
