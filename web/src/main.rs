//! Mounts the dashboard of a live cluster.

fn main() {
    cubecast_web::ui::go_on_where_asked();
    yew::Renderer::<cubecast_web::ui::App>::new().render();
}
