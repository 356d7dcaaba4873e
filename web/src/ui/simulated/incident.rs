//! The page for incidents: asks for a file, and shows it like a simulated run.

use std::rc::Rc;

use web_sys::File;
use yew::prelude::*;

use super::app::{OpenedFile, Stand};
use super::file_input::{FileInput, use_drop};
use super::mode::{ModeSwitch, PageKind};
use crate::model::State;
use crate::net::browser;
use crate::simulated::recorded::OpenedIncident;
use crate::ui::words::words;

/// The page for incidents.
#[component]
pub fn IncidentApp() -> Html {
    let opened = use_state(|| None::<OpenedFile>);
    let problem = use_state(|| None::<String>);
    let open = {
        let (opened, problem) = (opened.clone(), problem.clone());
        Callback::from(move |file: File| {
            let (opened, problem, name) = (opened.clone(), problem.clone(), file.name());
            browser::read(file, move |read| match read.and_then(|bytes| open_file(&name, &bytes)) {
                Ok(file) => {
                    problem.set(None);
                    opened.set(Some(file));
                }
                Err(why) => problem.set(Some(why)),
            });
        })
    };
    match &*opened {
        Some(file) => html! { <Stand key={file.number} fragment="" file={file.clone()} {open} /> },
        None => html! { <Invitation {open} problem={(*problem).clone()} /> },
    }
}

fn open_file(name: &str, bytes: &[u8]) -> Result<OpenedFile, String> {
    let opened = OpenedIncident::open(bytes).map_err(|why| format!("{name} cannot be shown: {why}."))?;
    let mut remarks = vec![("plain", format!("{name}: {}", opened.about()))];
    let missing =
        opened.missing().iter().map(|(node, why)| ("warning", format!("Node {node} is not recorded: {why}.")));
    remarks.extend(opened.redaction().map(|(is_equal, text)| (if is_equal { "plain" } else { "warning" }, text)));
    remarks.extend(missing);
    Ok(OpenedFile { number: browser::performance_ms() as u64, recording: opened, remarks: Rc::from(remarks) })
}

/// Makes a panic visible. A replay asserts what it cannot check in a file. WebAssembly ends with a failed assertion, so
/// this is the last that the page can say.
pub fn explain_panics() {
    std::panic::set_hook(Box::new(|panic| {
        browser::end_page(
            "This incident cannot be replayed",
            &format!(
                "It is damaged, or was recorded by another version. Reload the page to open another one. ({panic})"
            ),
        );
    }));
}

#[derive(Properties, PartialEq)]
struct InvitationProps {
    open: Callback<File>,
    problem: Option<String>,
}

/// The page before a file is opened.
#[component]
fn Invitation(props: &InvitationProps) -> Html {
    let drop = use_drop(&props.open);
    html! {
        <main
            data-testid="incident-page"
            class={classes!("invitation", drop.is_over.then_some("is-over"))}
            ondragover={drop.ondragover}
            ondragleave={drop.ondragleave}
            ondrop={drop.ondrop}
        >
            <ModeSwitch live={None::<State>} page={PageKind::Incident} />
            <h1>{"Replay an incident"}</h1>
            <p>
                {"Nodes with a flight recorder keep what they were told in the last minutes. Save it from a running "}
                {"cluster, also after a crash:"}
            </p>
            <pre><code>{"cubecast incident save --to outage.incident"}</code></pre>
            <p>{"Then open the file, or drop it here. It is read in this page and sent nowhere."}</p>
            <FileInput
                label="Open an incident"
                accept=".incident"
                testid="incident-file"
                open={props.open.clone()}
            />
            if let Some(why) = &props.problem {
                <p class="remark bad" role="alert" data-testid="incident-problem">{words(why)}</p>
            }
        </main>
    }
}
