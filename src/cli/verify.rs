//! `trueup verify`: everything that a deployment needs, looked at before it is needed. Writes nothing.

use futures::future::join_all;

use super::source::{InfraRepository, print_findings};
use super::{End, Environments, HistoryFormat, Names, RepositoryArgs, controller, end, progress, streams};
use crate::controller::Writes;
use crate::verify::{self, Subject};
use crate::view::verify::{Tally, Verified, json, text};

pub(super) async fn run(
    arguments: &RepositoryArgs,
    (names, environments): (&Names, &Environments),
    output: HistoryFormat,
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let is_broken = print_findings(&declaration);
    let wanted = names.selection(&declaration)?.within(environments.globs(&declaration)?);
    let mut controller = controller(source).await;
    let swept = progress::sweep(&mut controller, &declaration, Writes::Withheld, &wanted).await;
    let planned = swept.iter().filter_map(|one| {
        let desired = declaration.readable().find(|desired| desired.target == one.plan.status.target)?;
        Some((desired, &one.plan))
    });
    let inspected = join_all(planned.map(async |(desired, plan)| {
        let inspected = controller.inspect(&declaration, desired).await?;
        Some((desired, plan, inspected))
    }));
    let inspected = inspected.await;
    let subjects: Vec<Subject<'_>> = inspected
        .iter()
        .flatten()
        .map(|(desired, plan, inspected)| Subject {
            desired,
            plan,
            observed: &inspected.observed,
            task_definition: inspected.task_definition.clone(),
        })
        .collect();
    let questions = subjects.iter().map(|subject| (subject.desired, verify::questions(subject)));
    let surroundings = controller.look_around(questions).await;
    let all: Vec<Verified> = subjects
        .iter()
        .map(|subject| {
            let around = surroundings.get(&controller.place(subject.desired));
            let checks = around.map(|around| verify::checks(subject, around)).unwrap_or_default();
            (subject.desired.target.clone(), checks)
        })
        .collect();
    match output {
        HistoryFormat::Text => streams::screen(&text(&all, streams::style(arguments.color))),
        HistoryFormat::Json => streams::document(&json(&all)),
    }
    let failed = Tally::of(all.iter().flat_map(|(_, checks)| checks)).bad > 0;
    let ends = [(is_broken, End::Error), (failed, End::Failed)];
    Ok(end::lowest(ends.into_iter().filter(|(is, _)| *is).map(|(_, end)| end)))
}
