//! Mounts the dashboard of an incident, which is replayed in the page.

fn main() {
    cubecast_web::ui::explain_panics();
    yew::Renderer::<cubecast_web::ui::IncidentApp>::new().render();
}
