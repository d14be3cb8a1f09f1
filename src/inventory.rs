//! Reads what runs in an account and region, knowing no name beforehand: services, the images of their containers, and the groups
//! by which CodeDeploy deploys them. What cannot be read is told, and the rest goes on. Nothing is decided here but which revision is
//! the one that was proven.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;

use crate::documents::{containers, memory};
use crate::manifest::ImageAddress;
use crate::model::{
    AccountId, ClusterName, Controller, DeploymentGroupName, DeploymentStatus, Digest, Inventory,
    LiveContainer, LiveImage, LiveService, Reading, Region, RepositoryName, Revision, RolloutState, Service,
    ServiceDeployment, ServiceDeploymentStatus, ServiceName, ServiceStatus, Tag, Target, Task,
    TaskDefinitionArn, Unreached, Unread, Waiting,
};
use crate::plan::phase;
use crate::plan::waiting::describe;
use crate::ports::{CloudError, Ecr, Extent, Listing, Place, Ports, Reach, Tasks};

/// Services that are read at the same time: enough for the calls that take ten and twenty at once.
const AT_ONCE: usize = 40;
/// Deployments of a service that are read where its tags have to be resolved, or one goes on.
const DEPLOYMENTS: usize = 20;
/// Tasks of a service that are described to see what they run: all of one revision run the same.
const TASKS: usize = 20;

/// Where is looked, and at what.
pub struct Wanted<'a> {
    pub place: Place,
    pub scope: Scope<'a>,
}

pub enum Scope<'a> {
    /// Whatever there is.
    Listed {
        /// Empty: all that there are.
        clusters: &'a [ClusterName],
        services: &'a (dyn Fn(&ServiceName) -> bool + Sync),
    },
    /// Those that somebody has named.
    Named(&'a [NamedService]),
}

/// A service, with the group by which CodeDeploy deploys it where that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedService {
    pub cluster: ClusterName,
    pub name: ServiceName,
    pub group: Option<DeploymentGroupName>,
}

/// Everything that is wanted. An error where nothing at all could be read.
pub async fn read(reach: &dyn Reach, wanted: &Wanted<'_>) -> Result<Inventory, Unread> {
    let ports = reach.ports(&wanted.place);
    let place = || match &wanted.place.account {
        Some(account) => format!("account {account}"),
        None => "the account of the credentials".to_owned(),
    };
    let account = ports.sts.account().await.map_err(|why| Unread { what: place(), why: unreached(why) })?;
    let region = wanted.place.region.clone();
    let region =
        region.ok_or_else(|| Unread { what: place(), why: "no AWS region is set: AWS_REGION".to_owned() })?;
    let reader = Reader { reach, account, region, ports, registries: RegistriesByRegion::default() };
    let mut inventory = Inventory::default();
    let services = match &wanted.scope {
        Scope::Listed { clusters, services } => {
            let listed = reader.listed(clusters, services, &mut inventory).await?;
            reader.services(listed, &mut inventory).await
        }
        Scope::Named(named) => reader.named(named, &mut inventory).await,
    };
    inventory.services = services;
    reader.find_groups(&mut inventory).await;
    reader.find_known(&mut inventory).await;
    Ok(inventory)
}

fn unreached(why: Unreached) -> String {
    describe(&Waiting::Unreached { account: None, why })
}

type RegistriesByRegion = std::sync::Mutex<BTreeMap<Region, Arc<dyn Ecr>>>;

/// What reads one account and region.
struct Reader<'a> {
    reach: &'a dyn Reach,
    account: AccountId,
    region: Region,
    ports: Ports,
    registries: RegistriesByRegion,
}

impl Reader<'_> {
    /// The names of what there is.
    async fn listed(
        &self,
        clusters: &[ClusterName],
        services: &(dyn Fn(&ServiceName) -> bool + Sync),
        inventory: &mut Inventory,
    ) -> Result<Vec<(ClusterName, ServiceName)>, Unread> {
        let clusters = match clusters {
            [] => self.ports.directory.clusters().await.map_err(|error| Unread {
                what: format!("the clusters of account {} in {}", self.account, self.region),
                why: format!("{error}; name them with --cluster"),
            })?,
            named => Listing { items: named.to_vec(), extent: Extent::Whole },
        };
        inventory.unread.extend(self.cut(clusters.extent, "clusters"));
        let mut names = Vec::new();
        for cluster in clusters.items {
            match self.ports.directory.services(&cluster).await {
                Ok(found) => {
                    let what = format!("services of cluster {cluster}");
                    inventory.unread.extend(self.cut(found.extent, &what));
                    let found = found.items.into_iter().filter(|name| services(name));
                    names.extend(found.map(|name| (cluster.clone(), name)));
                }
                Err(error) => inventory.unread.push(self.unread(&format!("cluster {cluster}"), &error)),
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn services(
        &self,
        names: Vec<(ClusterName, ServiceName)>,
        inventory: &mut Inventory,
    ) -> Vec<LiveService> {
        let read = stream::iter(names).map(|(cluster, name)| self.service(cluster, name));
        let mut services = Vec::new();
        for read in read.buffered(AT_ONCE).collect::<Vec<_>>().await {
            match read {
                Ok(service) => services.extend(service),
                Err(unread) => inventory.unread.push(unread),
            }
        }
        services
    }

    /// One that is not there is told.
    async fn named(&self, named: &[NamedService], inventory: &mut Inventory) -> Vec<LiveService> {
        let names = named.iter().map(|one| (one.cluster.clone(), one.name.clone())).collect();
        let unread_before = inventory.unread.len();
        let mut services = self.services(names, inventory).await;
        for one in named {
            let is_it =
                |service: &&mut LiveService| service.cluster == one.cluster && service.name == one.name;
            let what = format!("service {} of cluster {}", one.name, one.cluster);
            let is_told =
                || inventory.unread.iter().skip(unread_before).any(|told| told.what.starts_with(&what));
            match services.iter_mut().find(is_it) {
                Some(service) => service.group.clone_from(&one.group),
                None if is_told() => {}
                None => inventory
                    .unread
                    .push(self.unread(&what, &CloudError::NotFound("there is none".to_owned()))),
            }
        }
        services
    }

    fn unread(&self, what: &str, error: &CloudError) -> Unread {
        let what = format!("{what} of account {} in {}", self.account, self.region);
        Unread { what, why: error.to_string() }
    }

    fn cut(&self, extent: Extent, what: &str) -> Option<Unread> {
        let why = "there are more than are read: name some with --cluster or --service".to_owned();
        let what = format!("some {what} of account {} in {}", self.account, self.region);
        (extent == Extent::Cut).then_some(Unread { what, why })
    }

    /// `None`: it is about to be gone.
    async fn service(&self, cluster: ClusterName, name: ServiceName) -> Result<Option<LiveService>, Unread> {
        let what = format!("service {name} of cluster {cluster}");
        let unread = |error: CloudError| self.unread(&what, &error);
        let found = self.ports.ecs.service(&cluster, &name).await.map_err(unread)?;
        let Some(service) = found.filter(|service| service.status == ServiceStatus::Active) else {
            return Ok(None);
        };
        let going_on = goes_on(&service);
        let mut deployments = Vec::new();
        if going_on && service.controller == Controller::Ecs {
            deployments = self.deployments(&cluster, &name).await.map_err(unread)?;
        }
        let (revision, is_deploying) = proven(&service, &deployments);
        let revision = revision.clone();
        let Revision { input, tags, .. } = self.ports.ecs.revision(&revision).await.map_err(unread)?;
        let known_as =
            memory::registered_for(&tags).filter(|(of, named, _)| *of == cluster && *named == name);
        let images: Vec<(&str, &str, Option<ImageAddress>)> = containers::images(&input)
            .map(|(name, reference)| (name, reference, ImageAddress::parse(reference)))
            .collect();
        let is_open =
            |image: &Option<ImageAddress>| image.as_ref().is_some_and(|image| image.digest.is_none());
        let mut tasks = Vec::new();
        if images.iter().any(|(.., image)| is_open(image)) {
            if deployments.is_empty() && service.controller == Controller::Ecs {
                deployments = self.deployments(&cluster, &name).await.map_err(unread)?;
            }
            let is_told = |container: &str| resolved(&revision, container, &deployments, &[]).is_some();
            if images.iter().any(|(container, _, image)| is_open(image) && !is_told(container)) {
                tasks = self.ports.ecs.tasks(&cluster, &name, Tasks::Running, TASKS).await.map_err(unread)?;
            }
        }
        let mut containers = Vec::new();
        for (container, reference, address) in images {
            let digest = resolved(&revision, container, &deployments, &tasks);
            let image = match address {
                Some(address) => Some(self.image(address, digest).await),
                None => None,
            };
            containers.push(LiveContainer {
                name: container.to_owned(),
                reference: reference.to_owned(),
                image,
            });
        }
        Ok(Some(LiveService {
            account: self.account.clone(),
            region: self.region.clone(),
            cluster,
            name,
            controller: service.controller,
            strategy: service.strategy,
            is_deploying,
            revision,
            containers,
            group: None,
            known_as: known_as.map(|(_, _, target)| target),
        }))
    }

    async fn deployments(
        &self,
        cluster: &ClusterName,
        name: &ServiceName,
    ) -> Result<Vec<ServiceDeployment>, CloudError> {
        self.ports.ecs.service_deployments(cluster, name, DEPLOYMENTS).await
    }

    /// What ECR says of it. By its tag where that is still on it, since a tag may be on an index of which one platform runs.
    async fn image(&self, address: ImageAddress, resolved: Option<Digest>) -> LiveImage {
        let ImageAddress { account, region, repository, tag, digest } = address;
        let (account, region) = (AccountId::new(account), Region::new(region));
        let repository = RepositoryName::new(repository);
        let named_by = tag.map(Tag::new);
        let digest = digest.map(Digest::new).or(resolved);
        let registry = self.registry(&region);
        let by_tag = match &named_by {
            Some(tag) => Some(registry.image_by_tag(Some(&account), &repository, tag).await),
            None => None,
        };
        let found = match (by_tag, &digest) {
            (Some(Ok(image)), Some(digest)) if image.is(digest) => Ok(image),
            (_, Some(digest)) => registry.image_by_digest(Some(&account), &repository, digest).await,
            (Some(by_tag), None) => by_tag,
            (None, None) => Err(CloudError::NotFound("it has neither tag nor digest".to_owned())),
        };
        let described = registry.repository(Some(&account), &repository).await;
        let mutability = Reading::from(described.map(|repository| repository.mutability));
        LiveImage { account, region, repository, named_by, found: Reading::from(found), mutability }
    }

    fn registry(&self, region: &Region) -> Arc<dyn Ecr> {
        if *region == self.region {
            return Arc::clone(&self.ports.ecr);
        }
        let mut known = self.registries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let open = || {
            let place = Place { account: Some(self.account.clone()), region: Some(region.clone()) };
            self.reach.ports(&place).ecr
        };
        Arc::clone(known.entry(region.clone()).or_insert_with(open))
    }

    /// Which of them trueup has deployed before: their revisions are tagged, also where another hand's is live by now.
    async fn find_known(&self, inventory: &mut Inventory) {
        let tagged = match self.ports.tagging.revisions_of_services().await {
            Ok(tagged) => tagged.items,
            Err(error) => {
                inventory.unread.push(self.unread("the revisions that trueup has registered", &error));
                return;
            }
        };
        let known = tagged.iter().filter_map(|revision| memory::registered_for(&revision.tags));
        let known: BTreeMap<(ClusterName, ServiceName), Target> =
            known.map(|(cluster, service, target)| ((cluster, service), target)).collect();
        for service in inventory.services.iter_mut().filter(|service| service.known_as.is_none()) {
            service.known_as = known.get(&(service.cluster.clone(), service.name.clone())).cloned();
        }
    }

    /// By which group CodeDeploy deploys a service; nobody is asked where it deploys none.
    async fn find_groups(&self, inventory: &mut Inventory) {
        let by_code_deploy = |service: &&mut LiveService| {
            service.controller == Controller::CodeDeploy && service.group.is_none()
        };
        let mut services = inventory.services.iter_mut().filter(by_code_deploy).peekable();
        if services.peek().is_none() {
            return;
        }
        let listed = match self.ports.directory.deployment_groups().await {
            Ok(listed) => listed,
            Err(error) => {
                inventory.unread.push(self.unread("the deployment groups of CodeDeploy", &error));
                return;
            }
        };
        let mut by_service: BTreeMap<(ClusterName, ServiceName), BTreeSet<DeploymentGroupName>> =
            BTreeMap::new();
        for (name, group) in listed.items {
            for service in group.services {
                by_service.entry(service).or_default().insert(name.clone());
            }
        }
        for service in services {
            let groups = by_service.remove(&(service.cluster.clone(), service.name.clone()));
            // Of several nobody could tell which one is meant.
            let only = groups.filter(|groups| groups.len() == 1);
            service.group = only.and_then(|groups| groups.into_iter().next());
        }
        inventory.unread.extend(self.cut(listed.extent, "deployment groups"));
    }
}

/// Whether a deployment is on its way, as the service itself tells.
fn goes_on(service: &Service) -> bool {
    let is_live = |status| status != DeploymentStatus::Inactive;
    let live = service.deployments.iter().filter(|one| is_live(one.status));
    live.clone().count() > 1 || live.clone().any(|one| one.rollout == Some(RolloutState::InProgress))
}

/// The revision that ended well last where something else is on its way; and whether it is.
fn proven<'a>(service: &'a Service, deployments: &'a [ServiceDeployment]) -> (&'a TaskDefinitionArn, bool) {
    let primary = service.primary().map_or(&service.task_definition, |primary| &primary.task_definition);
    let Some(newest) = deployments.first() else { return (primary, goes_on(service)) };
    match newest.status {
        ServiceDeploymentStatus::RollbackSuccessful => (newest.sources.first().unwrap_or(primary), false),
        status if status.is_over() => (primary, false),
        _ => (phase::successes(deployments).next().unwrap_or(primary), true),
    }
}

/// The digest that ECS resolved for a container of the newest deployment to a revision, or that its tasks run.
fn resolved(
    revision: &TaskDefinitionArn,
    container: &str,
    deployments: &[ServiceDeployment],
    tasks: &[Task],
) -> Option<Digest> {
    let mut of_revision = deployments.iter().filter(|one| one.target.as_ref() == Some(revision));
    let told = of_revision.find_map(|one| one.digests.get(container));
    let running = tasks.iter().filter(|task| task.task_definition == *revision);
    let mut running = running.flat_map(|task| &task.containers).filter(|one| one.name == container);
    told.cloned().or_else(|| running.find_map(|one| one.digest.clone()))
}
