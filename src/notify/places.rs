//! Where to look for more of what an alert is about: pages of AWS's console and of the hosts of repositories.

use crate::model::alert::{Alert, State};
use crate::model::{ClusterName, Commit, Desired, ServiceName, Status, TaskDefinitionArn};
use crate::view::{links, status as words};

/// What of a target's declaration leads to pages.
pub(super) struct Places {
    cluster: ClusterName,
    service: Option<ServiceName>,
    source: Option<String>,
}

impl Places {
    pub fn of(desired: &Desired) -> Self {
        let (cluster, service) = (desired.cluster.clone(), desired.service().cloned());
        Self { cluster, service, source: desired.source.clone() }
    }
}

/// Adds to an alert how things stand, and where to look. `infra`: the page of the change that declared it.
pub(super) fn furnish(alert: &mut Alert, status: &Status, places: Option<&Places>, infra: Option<&str>) {
    alert.state = status.is_observed.then(|| state(status));
    let mut put = |what: &'static str, address: Option<String>| {
        alert.links.extend(address.map(|address| (what, address)));
    };
    let live = status.deployed.as_ref().map(TaskDefinitionArn::as_str);
    if let Some(places) = places {
        let source = places.source.as_deref().zip(alert.commit.as_ref().map(Commit::as_str));
        put("commit", source.and_then(|(source, commit)| links::commit(source, commit)));
        put("infra", infra.map(str::to_owned));
        let service = places.service.as_ref().zip(live);
        let service = service.and_then(|(service, live)| {
            links::service_beside(live, places.cluster.as_str(), service.as_str())
        });
        if let Some(arn) = &service {
            let id = alert.deployment.as_deref();
            let page = |id| links::code_deploy(arn, id).or_else(|| links::deployments(arn));
            put("deployment", id.and_then(page));
            put("service", links::service(arn));
        }
    }
    put("revision", live.and_then(links::task_definition));
}

fn state(status: &Status) -> State {
    State {
        running: words::running(status),
        tagged: words::tagged(status).to_owned(),
        deployed: words::deployed(status).to_owned(),
        sync: crate::view::words::sync(status.sync),
        health: crate::view::words::health(status.health),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::Event;
    use crate::notify::tests::{about, status};

    #[test]
    fn an_alert_leads_to_pages_in_the_partition_of_its_account_and_to_what_was_declared() {
        let places = Places {
            cluster: ClusterName::new("mco"),
            service: Some(ServiceName::new("mco-api")),
            source: Some("https://github.com/mco/api".to_owned()),
        };
        for (partition, host) in
            [("aws", "console.aws.amazon.com"), ("aws-us-gov", "console.amazonaws-us-gov.com")]
        {
            let arn = format!("arn:{partition}:ecs:us-gov-west-1:123456789012:task-definition/api:2");
            let now = Status {
                deployed: Some(TaskDefinitionArn::new(arn)),
                is_observed: true,
                ..status("api", None)
            };
            let mut alert = about(Event::DeploymentSucceeded, "api", "d-ABC", None);
            alert.commit = Some(Commit::new("3f2c1ab"));
            furnish(&mut alert, &now, Some(&places), Some("https://github.com/mco/infra/commit/8c1f0aa"));
            let console = |path: &str| format!("https://us-gov-west-1.{host}/{path}?region=us-gov-west-1");
            let expected = [
                ("commit", "https://github.com/mco/api/commit/3f2c1ab".to_owned()),
                ("infra", "https://github.com/mco/infra/commit/8c1f0aa".to_owned()),
                ("deployment", console("codesuite/codedeploy/deployments/d-ABC")),
                ("service", console("ecs/v2/clusters/mco/services/mco-api/health")),
                ("revision", console("ecs/v2/task-definitions/api/2/containers")),
            ];
            assert_eq!(alert.links, expected);
            assert_eq!(alert.state.unwrap().deployed, "api:2");
        }
        let mut unread = about(Event::ReconcileStalled, "api", "-", None);
        furnish(&mut unread, &status("api", None), None, None);
        assert_eq!((unread.state, unread.links), (None, Vec::new()));
    }
}
