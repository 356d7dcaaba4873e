//! Shared parts of the component tests: mounting a component, simulating user input, and a cluster to show.

use std::fmt::Debug;
use std::str::FromStr;

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::states::NodeState;
use cubecast_core::wire::answer::{ClusterView, NodeView};
use cubecast_web::model::cluster::{Cluster, Socket};
use cubecast_web::model::shared::Shared;
use cubecast_web::model::task::Task;
use cubecast_web::model::{Act, State, ViewAction};
use cubecast_web::ui::{App, Command, Dispatch};
use wasm_bindgen::JsCast;
use web_sys::{
    Element, Event, EventInit, HtmlElement, HtmlFormElement, HtmlInputElement, HtmlSelectElement, KeyboardEvent,
    KeyboardEventInit, MouseEvent, MouseEventInit,
};
use yew::prelude::*;
use yew::scheduler;
use yew::virtual_dom::VComp;

/// A component mounted in its own element of the test page, with a dispatcher; both are removed when dropped.
pub struct Page<C: BaseComponent> {
    /// The element that contains the component.
    pub root: Element,
    /// What the user wanted.
    pub commands: Commands,
    dispatch: Dispatch,
    app: Option<yew::AppHandle<Host<C>>>,
}

/// The commands that a dispatcher received, in order.
#[derive(Clone, Default)]
pub struct Commands(Rc<RefCell<Vec<Command>>>);

impl Commands {
    /// A dispatcher whose commands are recorded here.
    pub fn dispatch(&self) -> Dispatch {
        let commands = self.0.clone();
        Dispatch::new(move |command| commands.borrow_mut().push(command))
    }

    /// The tasks to run, held ones included.
    pub fn tasks(&self) -> Vec<Task> {
        let task = |command: &Command| match command {
            Command::Act(Act::Run(task)) | Command::Insist(task) => Some(task.clone()),
            Command::Act(_) | Command::View(_) => None,
        };
        self.0.borrow().iter().filter_map(task).collect()
    }

    /// The actions other than tasks.
    pub fn acts(&self) -> Vec<Act> {
        let act = |command: &Command| match command {
            Command::Act(Act::Run(_)) | Command::View(_) | Command::Insist(_) => None,
            Command::Act(act) => Some(act.clone()),
        };
        self.0.borrow().iter().filter_map(act).collect()
    }

    /// The changes of the view.
    pub fn views(&self) -> Vec<ViewAction> {
        let view = |command: &Command| match command {
            Command::View(action) => Some(action.clone()),
            Command::Act(_) | Command::Insist(_) => None,
        };
        self.0.borrow().iter().filter_map(view).collect()
    }
}

/// Provides a component with a dispatcher.
pub struct Host<C>(PhantomData<C>);

/// Properties of [`Host`].
#[derive(Properties)]
pub struct HostProps<C: BaseComponent> {
    dispatch: Dispatch,
    properties: Rc<C::Properties>,
}

impl<C: BaseComponent> PartialEq for HostProps<C> {
    fn eq(&self, other: &Self) -> bool {
        self.dispatch == other.dispatch && self.properties == other.properties
    }
}

impl<C: BaseComponent> Component for Host<C> {
    type Message = ();
    type Properties = HostProps<C>;

    fn create(_: &Context<Self>) -> Self {
        Host(PhantomData)
    }

    fn view(&self, context: &Context<Self>) -> Html {
        let component = Html::from(VComp::new::<C>(context.props().properties.clone(), None));
        let dispatch = context.props().dispatch.clone();
        html! { <ContextProvider<Dispatch> context={dispatch}>{component}</ContextProvider<Dispatch>> }
    }
}

impl Page<App> {
    /// Mounts a component and waits until it is rendered.
    pub async fn of<C: BaseComponent>(properties: C::Properties) -> Page<C> {
        let document = web_sys::window().unwrap().document().unwrap();
        let root = document.create_element("div").unwrap();
        document.body().unwrap().append_child(&root).unwrap();
        let commands = Commands::default();
        let dispatch = commands.dispatch();
        let properties = HostProps { dispatch: dispatch.clone(), properties: Rc::new(properties) };
        let app = yew::Renderer::<Host<C>>::with_root_and_props(root.clone(), properties).render();
        scheduler::flush().await;
        Page { root, commands, dispatch, app: Some(app) }
    }
}

impl<C: BaseComponent> Page<C> {
    /// The first element that matches the selector. Panics if there is none.
    pub fn get(&self, selector: &str) -> Element {
        self.root.query_selector(selector).unwrap().unwrap_or_else(|| panic!("{selector} is not on the page"))
    }

    /// All elements that match the selector.
    pub fn all(&self, selector: &str) -> Vec<Element> {
        let list = self.root.query_selector_all(selector).unwrap();
        (0..list.length()).map(|at| list.get(at).unwrap().unchecked_into()).collect()
    }

    /// The text of the first element that matches.
    pub fn text(&self, selector: &str) -> String {
        self.get(selector).text_content().unwrap_or_default()
    }

    /// Clicks on an element and waits until the page is rendered.
    pub async fn click(&self, selector: &str) {
        let element = self.get(selector);
        match element.dyn_ref::<HtmlElement>() {
            Some(element) => element.click(),
            None => bubble(&element, "click"),
        }
        scheduler::flush().await;
    }

    /// Sends two clicks; the second has a click count of 2.
    pub async fn double_click(&self, selector: &str) {
        for count in 1..=2 {
            let Ok(Some(element)) = self.root.query_selector(selector) else { return };
            let init = MouseEventInit::new();
            init.set_bubbles(true);
            init.set_cancelable(true);
            init.set_detail(count);
            element.dispatch_event(&MouseEvent::new_with_mouse_event_init_dict("click", &init).unwrap()).unwrap();
            scheduler::flush().await;
        }
    }

    /// Renders the component with new properties.
    pub async fn update(&mut self, properties: C::Properties) {
        let properties = HostProps { dispatch: self.dispatch.clone(), properties: Rc::new(properties) };
        self.app.as_mut().expect("it is mounted").update(properties);
        scheduler::flush().await;
    }

    /// Presses Enter on an element.
    pub async fn press_enter(&self, selector: &str) {
        self.press(selector, "Enter").await;
    }

    /// Presses a key on an element.
    pub async fn press(&self, selector: &str, key: &str) {
        let init = KeyboardEventInit::new();
        init.set_key(key);
        init.set_bubbles(true);
        let event = KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &init).unwrap();
        self.get(selector).dispatch_event(&event).unwrap();
        scheduler::flush().await;
    }

    /// Submits a form.
    pub async fn submit(&self, selector: &str) {
        let form: HtmlFormElement = self.get(selector).unchecked_into();
        form.request_submit().unwrap();
        scheduler::flush().await;
    }

    /// Types a text into a field.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let input: HtmlInputElement = self.get(selector).unchecked_into();
        input.set_value(text);
        bubble(&input, "input");
        scheduler::flush().await;
    }

    /// Chooses an option of a select element.
    pub async fn choose(&self, selector: &str, value: &str) {
        let select: HtmlSelectElement = self.get(selector).unchecked_into();
        select.set_value(value);
        bubble(&select, "change");
        scheduler::flush().await;
    }
}

impl<C: BaseComponent> Drop for Page<C> {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            app.destroy();
        }
        self.root.remove();
    }
}

/// The `class` attribute. `class_name` supports only HTML elements.
pub trait SvgClass {
    fn class_name_of_svg(&self) -> String;
}

impl SvgClass for Element {
    fn class_name_of_svg(&self) -> String {
        self.get_attribute("class").unwrap_or_default()
    }
}

/// Dispatches a bubbling event.
pub fn bubble(element: &Element, name: &str) {
    let init = EventInit::new();
    init.set_bubbles(true);
    element.dispatch_event(&Event::new_with_event_init_dict(name, &init).unwrap()).unwrap();
}

/// Parses the name of a node or of a vertex.
pub fn named<T: FromStr<Err: Debug>>(name: &str) -> T {
    name.parse().unwrap()
}

/// A watched cube whose node 011 has failed.
pub fn watching(topic: &str) -> State {
    watching_cube(3, topic)
}

/// A watched cube of this dimension, whose node 0…011 has failed.
pub fn watching_cube(bits: u8, topic: &str) -> State {
    let dimension = Dimension::new(bits).unwrap();
    let seating = Seating::founding(dimension);
    let failed = seating.host_of(dimension.vertex(0b011).unwrap());
    let node = |node: HostId| NodeView {
        node,
        address: String::new(),
        state: if node == failed { NodeState::Failed } else { NodeState::Up },
        incarnation: 1,
        leads: seating.vertex_of(node).into_iter().collect(),
    };
    let view = ClusterView { dimension, nodes: seating.hosts().map(node).collect(), links: Vec::new() };
    let mut cluster = Cluster::default();
    for node in seating.hosts() {
        cluster.learn_socket(node, Socket::Open);
        cluster.learn_view(node, &view);
    }
    State { cluster: Shared::from(cluster), topic_text: topic.into(), ..State::default() }
}
