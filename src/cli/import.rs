//! `trueup import`: an infrastructure repository from what runs in an account. Reads AWS, and writes one new folder, all of it or
//! nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::{End, RepositoryArgs, aws, pipelines, streams};
use crate::aws::{Aws, check_shape};
use crate::import::{self, ImportResult, Wishes};
use crate::inventory::{self, NamedService, Scope, Wanted};
use crate::manifest::{self, Files, NameKind};
use crate::model::{AccountId, ClusterName, EnvironmentName, Inventory, Region, ServiceName};
use crate::ports::{Place, Reach as _};
use crate::view;

pub(super) const EXAMPLES: &str = "Examples:\n  trueup import infrastructure\n  trueup import infrastructure --cluster mco --service \"mco-*\"\n  trueup import infrastructure --environment production\n  trueup import infrastructure --from-codepipeline api-test --from-codepipeline api-prod --files ../api\n\nIt reads AWS, and writes nothing there.";

#[derive(Args)]
pub(super) struct Options {
    /// Where the files are written: a folder that is new, or empty but for git's own.
    folder: PathBuf,
    /// Only the services of this cluster; several [default: every cluster]
    #[arg(long, value_name = "NAME", value_parser = cluster)]
    cluster: Vec<ClusterName>,
    /// Only services of this name; globs, and several.
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// Only the services that this pipeline of CodePipeline deploys, with what it says of them; several.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cluster", "service"])]
    from_codepipeline: Vec<String>,
    /// A checkout of the source that the pipelines take the files of their deploy actions from.
    #[arg(long, value_name = "FOLDER", requires = "from_codepipeline")]
    files: Option<PathBuf>,
    /// The environment that all of them belong to [default: guessed from the names of clusters and services]
    #[arg(long, value_name = "NAME", value_parser = environment)]
    environment: Option<EnvironmentName>,
    /// This account, by its role in the settings; several [default: that of the credentials]
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Vec<AccountId>,
    /// This region; several [default: that of the AWS settings]
    #[arg(long, value_name = "NAME", value_parser = region)]
    region: Vec<Region>,
    /// Also services that trueup has deployed before: for a repository that is lost.
    #[arg(long)]
    known: bool,
}

pub(super) async fn run(arguments: &RepositoryArgs, options: &Options) -> anyhow::Result<End> {
    let destination = Destination::of(&options.folder)?;
    let aws = aws(arguments.settings()?.accounts, None).await;
    let places = places(&aws, options);
    let files = options.files.as_deref();
    let piped = pipelines::read(&aws, &places, &options.from_codepipeline, files).await;
    let mut inventory = if options.from_codepipeline.is_empty() {
        read(&aws, places, options).await?
    } else {
        of_pipelines(&aws, &piped.services).await
    };
    inventory.unread.extend(piped.unread);
    let wishes =
        Wishes { environment: options.environment.clone(), known: options.known, piped: piped.by_service };
    let mut imported = import::repository(&inventory, &wishes);
    imported.left_out.extend(piped.left_out);
    let style = streams::style(arguments.color);
    if imported.files.is_empty() {
        streams::screen(&view::import::text(&inventory, &imported, style));
        bail!("nothing was found that can be declared: nothing is written");
    }
    lint(&imported);
    destination.write(&imported.files)?;
    streams::screen(&view::import::text(&inventory, &imported, style));
    out!("{}", view::import::next(&options.folder.display().to_string(), &imported));
    Ok(End::Good)
}

/// What is found in all accounts and regions that are asked for. One that may not be looked at keeps nobody else from it.
async fn read(aws: &Aws, places: Vec<Place>, options: &Options) -> anyhow::Result<Inventory> {
    let mut globs = globset::GlobSetBuilder::new();
    for name in &options.service {
        globs.add(globset::Glob::new(name)?);
    }
    let globs = globs.build()?;
    let services = |name: &ServiceName| options.service.is_empty() || globs.is_match(name.as_str());
    let mut inventory = Inventory::default();
    for place in places {
        let scope = Scope::Listed { clusters: &options.cluster, services: &services };
        inventory.append(found(aws, Wanted { place, scope }).await);
    }
    Ok(inventory)
}

/// The services that pipelines deploy, wherever that is.
async fn of_pipelines(aws: &Aws, services: &BTreeMap<Place, Vec<NamedService>>) -> Inventory {
    let mut inventory = Inventory::default();
    for (place, services) in services {
        inventory.append(found(aws, Wanted { place: place.clone(), scope: Scope::Named(services) }).await);
    }
    inventory
}

async fn found(aws: &Aws, wanted: Wanted<'_>) -> Inventory {
    match inventory::read(aws, &wanted).await {
        Ok(found) => found,
        Err(unread) => Inventory { unread: vec![unread], ..Inventory::default() },
    }
}

fn places(aws: &Aws, options: &Options) -> Vec<Place> {
    let regions = || each(&options.region);
    let places = each(&options.account).into_iter().flat_map(|account| {
        regions().into_iter().map(move |region| Place { account: account.clone(), region })
    });
    places.map(|place| aws.resolve(place)).collect()
}

/// Those that are named, or the one that goes without saying.
fn each<T: Clone>(named: &[T]) -> Vec<Option<T>> {
    if named.is_empty() { vec![None] } else { named.iter().cloned().map(Some).collect() }
}

/// What `lint` says of the files, which nobody has to run first.
fn lint(imported: &ImportResult) {
    let files: Files = imported.files.iter().map(|(path, text)| (path.clone(), Ok(text.clone()))).collect();
    let declaration = manifest::read(&files, None, &check_shape);
    declaration.findings.iter().for_each(streams::finding);
}

/// The folder that is written, and what it was before.
struct Destination {
    folder: PathBuf,
    exists: bool,
}

impl Destination {
    fn of(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { folder: folder.to_owned(), exists: false });
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read the folder {shown}")),
        };
        for entry in entries {
            let name = entry.with_context(|| format!("cannot read the folder {shown}"))?.file_name();
            ensure!(
                name == ".git",
                "the folder {shown} is not empty, and nothing is written over\n  hint  name a new folder"
            );
        }
        Ok(Self { folder: folder.to_owned(), exists: true })
    }

    /// Everything is written beside it first, and then takes its place.
    fn write(&self, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let shown = self.folder.display();
        let beside = match self.folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(beside)
            .with_context(|| format!("cannot make the folder {}", beside.display()))?;
        let temporary = tempfile::Builder::new().prefix(".trueup-import-").tempdir_in(beside);
        let temporary = temporary.with_context(|| format!("cannot write beside {shown}"))?;
        // One of its own inside, since a temporary folder is for nobody else to read.
        let whole = temporary.path().join("repository");
        for (path, text) in files {
            let path = whole.join(path);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(|| format!("cannot write beside {shown}"))?;
            }
            std::fs::write(&path, text).with_context(|| format!("cannot write beside {shown}"))?;
        }
        self.take_place(&whole).with_context(|| format!("cannot write the folder {shown}"))
    }

    fn take_place(&self, whole: &Path) -> io::Result<()> {
        if !self.exists {
            return std::fs::rename(whole, &self.folder);
        }
        let mut moved: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(whole)? {
            let entry = entry?;
            let to = self.folder.join(entry.file_name());
            let done = match to.try_exists() {
                Ok(false) => std::fs::rename(entry.path(), &to),
                Ok(true) => {
                    Err(io::Error::new(io::ErrorKind::AlreadyExists, "somebody else has written there"))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                // What stands there was not there before.
                for folder in &moved {
                    let _ = std::fs::remove_dir_all(folder);
                }
                return Err(error);
            }
            moved.push(to);
        }
        Ok(())
    }
}

fn cluster(text: &str) -> Result<ClusterName, String> {
    named(text, NameKind::Cluster).map(ClusterName::new)
}

fn account(text: &str) -> Result<AccountId, String> {
    named(text, NameKind::Account).map(AccountId::new)
}

fn region(text: &str) -> Result<Region, String> {
    named(text, NameKind::Region).map(Region::new)
}

fn environment(text: &str) -> Result<EnvironmentName, String> {
    manifest::is_document_name(text)
        .then(|| EnvironmentName::new(text))
        .ok_or_else(|| "up to 100 letters, digits and `-_.`, beginning with none of `-.`".to_owned())
}

fn named(text: &str, kind: NameKind) -> Result<&str, String> {
    if kind.allows(text) { Ok(text) } else { Err(kind.complaint(text).1) }
}
