//! One chart: its plots, axes, crosshair and legend.

use std::ops::RangeInclusive;
use std::rc::Rc;

use yew::prelude::*;

use crate::model::feed::FaultChange;
use crate::scene::charts::axis::{TimeTick, Unit};
use crate::scene::charts::{Chart, ChartsScene, HEIGHT, Line, Marks, Plot, WIDTH};
use crate::ui::svg::px;
use crate::ui::text::feed;
use crate::ui::words::{plain_words, shortened, words};

/// Faults that are named beside the values of a second.
pub const MOST_NAMED: usize = 3;

/// How a chart is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// With a legend; one of few, so it takes the keyboard.
    Large,
    Small,
}

/// A chart. `at`: the second of the crosshair.
pub fn chart(scene: &ChartsScene, chart: &Chart, at: Option<usize>, size: Size, id: &'static str) -> Html {
    let is_large = size == Size::Large;
    let axis = scene.ticks[if is_large { 1 } else { 2 }].clone();
    let values = chart.words(at);
    let plots = html! {
        <>
            { for chart.plots.iter().map(|plot| html! {
                <PlotView plot={plot.clone()} marks={scene.marks.clone()} />
            }) }
            {crosshair(scene, at)}
        </>
    };
    html! {
        <figure class="chart" data-testid={id}>
            <figcaption>
                <strong title={plain_words(&chart.title)}>{words(&chart.title)}</strong>
                <span class={at.map(|_| "is-then")}>{words(&values)}</span>
            </figcaption>
            if is_large {
                {slider(scene, chart, at, &values, plots)}
            } else {
                <div class="timed">{plots}</div>
            }
            <TimeAxis ticks={axis} />
            if is_large && chart.plots[0].lines.len() > 1 {
                {legend(&chart.plots[0].lines)}
            }
            { for chart.note.iter().map(|note| html! { <p class="aside">{words(note)}</p> }) }
        </figure>
    }
}

/// The plots of a chart that takes the keyboard. A screen reader speaks the values of each second to which a key leads.
fn slider(scene: &ChartsScene, chart: &Chart, at: Option<usize>, values: &str, plots: Html) -> Html {
    let last = scene.span.count.saturating_sub(1);
    html! {
        <div
            class="timed"
            role="slider"
            tabindex="0"
            aria-label={plain_words(&chart.title)}
            aria-valuemin="0"
            aria-valuemax={last.to_string()}
            aria-valuenow={at.unwrap_or(last).to_string()}
            aria-valuetext={plain_words(&spoken(scene, at, values))}
        >
            {plots}
        </div>
    }
}

/// The vertical line at the crosshair's second. Its element is as wide as the chart and is only moved, so that the browser
/// neither lays out nor paints the lines below it again.
pub fn crosshair(scene: &ChartsScene, at: Option<usize>) -> Html {
    let style = |at| format!("transform: translateX({:.2}%)", scene.span.share_of(at) * 100.0);
    html! { <>{ for at.map(|at| html! { <div class="crosshair"><i style={style(at)} /></div> }) }</> }
}

/// The faults of these seconds with their sign, at most `most` of them, and how many more there are.
pub fn faults(scene: &ChartsScene, seconds: RangeInclusive<usize>, most: usize) -> (Vec<(bool, String)>, usize) {
    let seconds = scene.seconds.get(seconds).unwrap_or_default();
    let count: usize = seconds.iter().map(|second| second.faults.len() + second.more_faults as usize).sum();
    let named = seconds.iter().flat_map(|second| &second.faults).take(most);
    let named: Vec<_> = named.map(|fact| (fact.fault() == Some(FaultChange::Ended), feed::words(fact))).collect();
    let more = count - named.len();
    (named, more)
}

/// The faults of these seconds as text.
pub fn spoken_faults(scene: &ChartsScene, seconds: RangeInclusive<usize>, most: usize) -> String {
    let (named, more) = faults(scene, seconds, most);
    let more = (more > 0).then(|| format!("{more} more"));
    named.into_iter().map(|(_, words)| words).chain(more).collect::<Vec<_>>().join("; ")
}

/// The same as a list.
pub fn listed_faults(scene: &ChartsScene, seconds: RangeInclusive<usize>, most: usize) -> Html {
    let (named, more) = faults(scene, seconds, most);
    html! {
        <>
            { for named.iter().map(|(has_ended, text)| html! { <span>{sign(*has_ended)}{" "}{words(text)}</span> }) }
            if more > 0 {
                <span>{format!("and {more} more")}</span>
            }
        </>
    }
}

/// The sign of a fault that began or ended.
pub fn sign(has_ended: bool) -> Html {
    if has_ended {
        html! { <b class="heals">{"▲"}</b> }
    } else {
        html! { <b class="breaks">{"✕"}</b> }
    }
}

/// What a screen reader says of a second.
fn spoken(scene: &ChartsScene, at: Option<usize>, values: &str) -> String {
    let values = values.replace(" · ", ", ");
    let Some((at, second)) = at.and_then(|at| Some((at, scene.seconds.get(at)?))) else { return values };
    let faults = spoken_faults(scene, at..=at, MOST_NAMED);
    let separator = if faults.is_empty() { "" } else { "; " };
    format!("{}: {values}{separator}{faults}", scene.clock.name(second.at_s))
}

fn legend(lines: &[Line]) -> Html {
    html! {
        <ul class="line-legend">
            { for lines.iter().map(|line| html! {
                <li>
                    <svg viewBox="0 0 26 6" aria-hidden="true">
                        <path class={classes!("line", line.name)} d="M1 3H25" />
                    </svg>
                    {words(&shortened(&line.label))}
                </li>
            }) }
        </ul>
    }
}

/// Properties of [`PlotView`]. They are equal if they are the same: the crosshair does not redraw the lines.
#[derive(Properties)]
struct PlotViewProps {
    plot: Rc<Plot>,
    marks: Rc<Marks>,
}

impl PartialEq for PlotViewProps {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.plot, &other.plot) && Rc::ptr_eq(&self.marks, &other.marks)
    }
}

#[component]
fn PlotView(props: &PlotViewProps) -> Html {
    let (plot, marks) = (&props.plot, &props.marks);
    let path = |class: Classes, d: &str| (!d.is_empty()).then(|| html! { <path {class} d={d.to_owned()} /> });
    let top = |y: f64| format!("top: {:.1}%", y / HEIGHT * 100.0);
    let ground: String = plot.ticks.iter().map(|tick| format!("M0 {}H{WIDTH}", px(tick.y))).collect();
    html! {
        <div class="plot" aria-hidden="true">
            <svg viewBox={format!("0 0 {WIDTH} {HEIGHT}")} preserveAspectRatio="none">
                {path(classes!("shade", "failed"), &marks.failed)}
                {path(classes!("shade", "slow"), &marks.slow)}
                {path(classes!("ground"), &format!("{ground}M0 {}H{WIDTH}", HEIGHT - 0.5))}
                { for plot.lines.iter().filter_map(|line| path(classes!("area"), line.area.as_ref()?)) }
                {path(classes!("mark", "breaks"), &marks.began)}
                {path(classes!("mark", "heals"), &marks.ended)}
                { for plot.lines.iter().filter_map(|line| path(classes!("line", line.name), &line.path)) }
            </svg>
            { for plot.ticks.iter().map(|tick| html! {
                <span class="value" style={top(tick.y)}>{tick.label.clone()}</span>
            }) }
            if plot.unit != Unit::PerSecond {
                { for plot.lines.iter().filter_map(|line| line.label_y.map(|y| html! {
                    <span class={classes!("end", line.name)} style={top(y)}>{words(&line.label)}</span>
                })) }
            }
        </div>
    }
}

/// Properties of [`TimeAxis`]. They are equal if they are the same.
#[derive(Properties)]
pub struct TimeAxisProps {
    pub ticks: Rc<Vec<TimeTick>>,
}

impl PartialEq for TimeAxisProps {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.ticks, &other.ticks)
    }
}

/// The time axis below a chart.
#[component]
pub fn TimeAxis(props: &TimeAxisProps) -> Html {
    html! {
        <div class="time-axis" aria-hidden="true">
            { for props.ticks.iter().map(|tick| html! {
                <span style={format!("left: {:.2}%", tick.share * 100.0)}>{tick.label.clone()}</span>
            }) }
        </div>
    }
}
