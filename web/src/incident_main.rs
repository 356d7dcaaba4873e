//! Mounts the dashboard of an incident, which is replayed in the page.

fn main() {
    yew::Renderer::<cubecast_web::ui::IncidentApp>::new().render();
}
