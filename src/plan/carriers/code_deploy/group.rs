//! The application and the group that a deployment of CodeDeploy belongs to.

use crate::documents::code_deploy;
use crate::model::{
    ClusterName, CodeDeploy, DeploymentGroup, Desired, Group, LoadBalancer, Observed, Reading, Service,
    ServiceName, Waiting,
};
use crate::plan::step::Step;

/// What is made first, where they are not there and the files say how; `None` where they are there and fit.
pub(super) fn is_ready(
    settings: &CodeDeploy,
    (application, group): (&str, &str),
    desired: &Desired,
    service: &Service,
    observed: &Observed,
) -> Result<Option<Step>, Waiting> {
    let found = match &observed.group {
        Some(Reading::Known(found)) => found,
        Some(Reading::Unavailable(why)) => return Err(unreadable(why)),
        Some(Reading::Absent) | None => return Err(unreadable("it was not read")),
    };
    let names = || (application.to_owned(), group.to_owned());
    match (found, &settings.create) {
        (Group::Found(found), _) => fits(found, group, desired, service).map(|()| None),
        (Group::NoApplication, Some(_)) => {
            Ok(Some(Step::CreateApplication { application: application.to_owned() }))
        }
        (Group::NoGroup, Some(new)) => {
            let input = code_deploy::group_input(new, application, group, desired);
            let (application, group) = names();
            Ok(Some(Step::CreateGroup { application, group, input }))
        }
        (Group::NoApplication | Group::NoGroup, None) => {
            let (application, group) = names();
            Err(Waiting::GroupMissing { application, group })
        }
    }
}

fn unreadable(why: &str) -> Waiting {
    Waiting::Unreadable { what: "the deployment group", why: why.to_owned() }
}

/// Whether the group can deploy this service, before anything is written.
fn fits(group: &DeploymentGroup, name: &str, desired: &Desired, service: &Service) -> Result<(), Waiting> {
    let unfit = |why: String| Err(Waiting::GroupUnfit { group: name.to_owned(), why });
    if !group.is_for_ecs {
        return unfit("its compute platform is not ECS".to_owned());
    }
    let is_own = |(cluster, service): &(ClusterName, ServiceName)| {
        *cluster == desired.cluster && Some(service) == desired.service()
    };
    if !group.services.iter().any(is_own) {
        let others =
            group.services.iter().map(|(cluster, service)| format!("{service} in cluster {cluster}"));
        let others: Vec<String> = others.collect();
        return unfit(format!(
            "it deploys {} and not {} in cluster {}",
            others.join(", "),
            desired.name_in_cluster(),
            desired.cluster
        ));
    }
    if group.target_groups.len() != 2 {
        return unfit(format!("it has {} target groups instead of two", group.target_groups.len()));
    }
    if !group.has_production_listener {
        return unfit("it has no production listener".to_owned());
    }
    let balancer = service.primary().and_then(|primary| primary.load_balancer.as_ref());
    match balancer.map(LoadBalancer::target_group_name) {
        Some(used) if !group.target_groups.iter().any(|known| known == used) => unfit(format!(
            "the service uses the target group {used}, which is none of {}",
            group.target_groups.join(", ")
        )),
        _ => Ok(()),
    }
}
