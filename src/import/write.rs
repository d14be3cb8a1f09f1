//! The text of the files: one for each application and environment, with comments that explain. Whatever comes from outside is
//! on one line, and cannot end a comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::applications::{Application, clusters};
use super::builds::{Build, text};
use super::images::{LiveTarget, Missing};
use super::yaml::{Value, inline, own_line, quoted, scalar};
use crate::escape::line;
use crate::model::{Controller, DeploymentStrategy};

/// Files by their paths.
pub fn files(applications: &[Application]) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for one in applications {
        let path = path("applications", &one.name, &mut taken);
        files.insert(path, application(one));
        if let Some((file, text)) = &one.app_spec {
            files.insert(format!("applications/{file}"), text.clone());
        }
    }
    let all: Vec<LiveTarget> = applications.iter().flat_map(|one| one.targets.clone()).collect();
    let clusters = clusters(&all);
    let mut by_environment: BTreeMap<String, Vec<Entry<'_>>> = BTreeMap::new();
    for application in applications {
        for (target, replaced) in application.targets.iter().zip(&application.replaced) {
            let entries = by_environment.entry(target.target.environment.to_string()).or_default();
            entries.push(Entry { target, replaced });
        }
    }
    for (name, entries) in &by_environment {
        let path = path("environments", name, &mut taken);
        let cluster = clusters.get(name).map(String::as_str).unwrap_or_default();
        files.insert(path, environment(name, cluster, entries));
    }
    files
}

/// Names that differ in the case of their letters are one file on some machines.
fn path(folder: &str, name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut path = format!("{folder}/{name}.yaml");
    let mut number = 2;
    while !taken.insert(path.to_ascii_lowercase()) {
        path = format!("{folder}/{name}-{number}.yaml");
        number += 1;
    }
    path
}

fn application(application: &Application) -> String {
    let mut file = String::new();
    let mut services = application.targets.iter().map(|target| &target.service);
    if let Some(first) = services.next() {
        let more = services.count();
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        let _ = writeln!(
            file,
            "# Service {} of cluster {}{more}.",
            line(first.name.as_str()),
            line(first.cluster.as_str())
        );
    }
    for target in &application.targets {
        for comment in &target.comments {
            let _ = writeln!(file, "# {}: {}.", line(target.target.environment.as_str()), line(comment));
        }
    }
    let _ = writeln!(
        file,
        "# No task definition file: trueup replaces the image, and leaves every other field as it is.\n\
         apiVersion: trueup.dev/v1\nkind: Application\nmetadata:\n  name: {}\nspec:",
        scalar(&application.name)
    );
    for (key, value) in &application.spec {
        if let Some(comment) = explained(key, application) {
            let _ = writeln!(file, "  # {comment}");
        }
        let _ = match (*key, value) {
            ("images", Value::List(items)) => {
                let items =
                    items.iter().fold(String::new(), |all, item| all + "    - " + &inline(item) + "\n");
                write!(file, "  images:\n{items}")
            }
            ("strategy", Value::Map(entries)) => write_strategy(&mut file, entries),
            _ => writeln!(file, "  {key}: {}", own_line(value)),
        };
    }
    if let Some(comment) = shifted(application) {
        let _ = writeln!(file, "  # {comment}");
    }
    file
}

fn write_strategy(file: &mut String, entries: &[(&'static str, Value)]) -> std::fmt::Result {
    writeln!(file, "  strategy:")?;
    for (key, value) in entries {
        match value {
            Value::Map(names) => {
                writeln!(file, "    {key}:")?;
                for (name, value) in names {
                    writeln!(file, "      {name}: {}", own_line(value))?;
                }
            }
            other => writeln!(file, "    {key}: {}", own_line(other))?,
        }
    }
    Ok(())
}

fn explained(key: &str, application: &Application) -> Option<String> {
    match key {
        "commitTag" => Some("How CI tags the build of a commit, by the tags of what runs.".to_owned()),
        "containers" => Some("Whose image is replaced; the others are left as they are.".to_owned()),
        "images" => Some("Images that are not listed are left as they are.".to_owned()),
        "policy" => {
            let mut images = application.targets.iter().flat_map(|target| &target.images);
            let why = images.find_map(|image| image.tag_stays)?;
            Some(format!("No tag marks what runs in an environment: {why}."))
        }
        _ => None,
    }
}

/// How ECS deploys it, where no strategy is written.
fn shifted(application: &Application) -> Option<String> {
    let is_written = application.spec.iter().any(|(key, _)| *key == "strategy");
    let strategies: BTreeSet<&str> = application
        .targets
        .iter()
        .map(|target| &target.service)
        .filter(|service| service.controller == Controller::Ecs)
        .filter(|service| service.strategy != DeploymentStrategy::Rolling)
        .map(|service| service.strategy.declared_as())
        .collect();
    let all = strategies.into_iter().collect::<Vec<_>>().join(" or ");
    (!is_written && !all.is_empty())
        .then(|| format!("ECS shifts its traffic ({all}), as the service has it: no `strategy` is written."))
}

/// One service in the file of its environment.
struct Entry<'a> {
    target: &'a LiveTarget,
    replaced: &'a [(&'static str, Value)],
}

fn environment(name: &str, cluster: &str, entries: &[Entry<'_>]) -> String {
    let mut file = String::new();
    let _ = writeln!(
        file,
        "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata:\n  name: {}\nspec:",
        scalar(name)
    );
    if let Some(first) = entries.first() {
        let service = &first.target.service;
        let _ = writeln!(
            file,
            "  account: {} # compared with the credentials before the first write\n  region: {}",
            quoted(service.account.as_str()),
            scalar(service.region.as_str())
        );
    }
    let _ = writeln!(
        file,
        "  cluster: {}\n  # What runs here is marked by the ECR tag {}, from the first deployment by trueup on; `environmentTag` is another one.\n  applications:",
        scalar(cluster),
        line(name)
    );
    for entry in entries {
        file.push_str(&written(entry));
    }
    file
}

fn written(entry: &Entry<'_>) -> String {
    let mut text = String::new();
    let (target, name) = (entry.target, scalar(entry.target.target.application.as_str()));
    for note in &target.notes {
        let _ = writeln!(text, "    # {}: {}", line(target.target.application.as_str()), line(note));
    }
    let is_declared = !target.images.is_empty();
    if !is_declared && let Some(main) = target.missing.first() {
        let _ = writeln!(
            text,
            "    # {} is not declared yet: {}.",
            line(target.target.application.as_str()),
            line(&main.why)
        );
    }
    for missing in &target.missing {
        text.push_str(&how_to_tag(missing));
    }
    if !is_declared {
        text.push_str("    # Then take the mark off this line, with the commit in it:\n");
    }
    let value = inline(&declared(entry));
    let mark = if is_declared { "" } else { "# " };
    let _ = writeln!(text, "    {mark}{name}: {value}");
    text
}

/// The commits, and what the environment says otherwise.
fn declared(entry: &Entry<'_>) -> Value {
    let mut keys: Vec<(&'static str, Value)> = Vec::new();
    let images = &entry.target.images;
    match images.first().map(|image| &image.build) {
        Some(Build::Commit { text, .. }) => keys.push(("commit", Value::text(text))),
        Some(Build::Release(text)) => keys.push(("release", Value::text(text))),
        None => keys.push(("commit", Value::text("COMMIT"))),
    }
    if let Some(first) = images.first() {
        let others = images.iter().filter(|image| image.build != first.build);
        let others: BTreeMap<String, String> =
            others.map(|image| (image.name.clone(), text(&image.build).to_owned())).collect();
        if !others.is_empty() {
            keys.push(("commits", Value::Named(others)));
        }
    }
    keys.extend(entry.replaced.iter().cloned());
    Value::Map(keys)
}

/// Media types to ask for, so that an index comes back as an index (Amazon ECR API reference, `BatchGetImage`).
const MEDIA_TYPES: &str = "application/vnd.docker.distribution.manifest.v2+json \
     application/vnd.docker.distribution.manifest.list.v2+json application/vnd.oci.image.manifest.v1+json \
     application/vnd.oci.image.index.v1+json";

/// The command that tags an image with the commit that it was built from, which only people know. The digest keeps it from
/// tagging anything else (Amazon ECR user guide, "Retagging an image in Amazon ECR").
fn how_to_tag(missing: &Missing) -> String {
    let Some(digest) = &missing.digest else { return String::new() };
    let (account, region) = &missing.registry;
    let repository = format!(
        "--registry-id {account} --region {} --repository-name {}",
        line(region.as_str()),
        line(missing.repository.as_str())
    );
    let digest = line(digest.as_str());
    format!(
        "    # It is {digest} of {}, in container {}. With COMMIT for the commit that it was built from:\n\
         \x20   #   MANIFEST=$(aws ecr batch-get-image {repository} --image-ids imageDigest={digest} \\\n\
         \x20   #     --accepted-media-types {MEDIA_TYPES} \\\n\
         \x20   #     --query 'images[0].imageManifest' --output text)\n\
         \x20   #   aws ecr put-image {repository} --image-tag COMMIT --image-digest {digest} --image-manifest \"$MANIFEST\"\n",
        line(missing.repository.as_str()),
        line(&missing.container),
    )
}
