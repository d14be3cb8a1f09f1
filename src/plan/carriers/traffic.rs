//! What the files declare of a native strategy, and whether the load balancer is as ECS needs it.
//!
//! ECS reads from the production rule which of two target groups serves, and starts new tasks in the other one. Who points the
//! rule at the empty group has ECS start them among those that serve. So the rule is read before anything is written, and
//! nothing here ever writes to a load balancer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::documents::native::{self, Home, UnknownGroup};
use crate::model::{
    Balancing, Controller, DeploymentStrategy, Desired, Forward, Native, Observed, Reading, Scheduling,
    Service, Strategy, TargetGroup, Waiting,
};

/// Members of `UpdateService` by which the declared strategy goes along with the next deployment; `None`: nothing of it
/// changes.
pub(in crate::plan) fn strategy_to_send(
    desired: &Desired,
    service: &Service,
    observed: &Observed,
) -> Result<Option<Value>, Waiting> {
    let settings = declared(desired, service, observed)?;
    Ok(settings.and_then(|settings| native::to_send(&settings, &service.settings)))
}

/// How the next deployment goes otherwise than the last one, for people.
pub(in crate::plan) fn strategy_change(
    desired: &Desired,
    service: &Service,
    observed: &Observed,
) -> Option<String> {
    native::change(&declared(desired, service, observed).ok()??, &service.settings)
}

/// Whether traffic can be shifted as it will be declared once the next deployment has begun.
pub(in crate::plan) fn can_shift(
    desired: &Desired,
    service: &Service,
    observed: &Observed,
) -> Result<(), Waiting> {
    if let Strategy::Native(_) = &desired.strategy
        && service.scheduling == Scheduling::Daemon
    {
        return Err(unfit("a DAEMON service has rolling deployments alone"));
    }
    let mut settings = service.settings.clone();
    if let Some(declared) = declared(desired, service, observed)? {
        merge(&mut settings, declared);
    } else if !shifts_traffic(service) {
        return Ok(());
    }
    fits(&settings, service, observed)
}

/// The same, as the service has it: a way back sends nothing of what is declared.
pub(in crate::plan) fn can_shift_back(service: &Service, observed: &Observed) -> Result<(), Waiting> {
    if shifts_traffic(service) { fits(&service.settings, service, observed) } else { Ok(()) }
}

fn fits(settings: &Value, service: &Service, observed: &Observed) -> Result<(), Waiting> {
    let balancers = settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten();
    for balancer in balancers {
        let Some(traffic) = Traffic::of(balancer) else {
            return Err(unfit(
                "a load balancer of the service has no second target group: declare `traffic` under `strategy`",
            ));
        };
        if let Some(balancing) = &observed.balancing {
            traffic.check(balancing, service.desired_count)?;
        }
    }
    Ok(())
}

/// The rules and target groups that have to be read for that.
pub fn to_read(desired: &Desired, service: &Service) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut rules, mut groups) = (BTreeSet::new(), BTreeSet::new());
    if let Some(native) = owned(desired) {
        for balancer in native.balancers.iter().flatten() {
            groups.extend(balancer.target_groups.iter().cloned());
            rules.insert(balancer.production_rule.clone());
            rules.extend(balancer.test_rule.clone());
        }
    } else if !shifts_traffic(service) {
        return (rules, groups);
    }
    let live = service.settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten();
    for traffic in live.filter_map(Traffic::of) {
        groups.extend(traffic.groups.map(str::to_owned));
        rules.insert(traffic.production.to_owned());
        rules.extend(traffic.test.map(str::to_owned));
    }
    (rules, groups)
}

fn shifts_traffic(service: &Service) -> bool {
    service.controller == Controller::Ecs && service.strategy != DeploymentStrategy::Rolling
}

/// A declared native strategy that says more than its name.
fn owned(desired: &Desired) -> Option<&Native> {
    match &desired.strategy {
        Strategy::Native(native) => Some(native.as_ref()).filter(|native| !native.is_inherited()),
        Strategy::Rolling | Strategy::CodeDeploy(_) | Strategy::Unspecified => None,
    }
}

fn declared(desired: &Desired, service: &Service, observed: &Observed) -> Result<Option<Value>, Waiting> {
    let Some(native) = owned(desired).filter(|_| service.controller == Controller::Ecs) else {
        return Ok(None);
    };
    let revision = service.primary().map(|primary| primary.task_definition.as_str());
    let home = revision.and_then(Home::of).ok_or_else(|| unreadable("the service has no deployment"))?;
    let found = observed.balancing.as_ref().map(|balancing| &balancing.groups);
    let known = found.into_iter().flatten().filter_map(|(asked, group)| Some((asked, group.known()?)));
    let arns: BTreeMap<String, String> =
        known.map(|(asked, group)| (asked.clone(), group.arn.clone())).collect();
    match native::settings(native, &service.settings, home, &arns) {
        Ok(settings) => Ok(Some(settings)),
        Err(UnknownGroup(name)) => Err(match found.and_then(|groups| groups.get(&name)) {
            None => Waiting::LookDeeper,
            Some(Reading::Unavailable(why)) => unreadable(why),
            Some(Reading::Absent | Reading::Known(_)) => unfit(format!("there is no target group {name}")),
        }),
    }
}

fn merge(settings: &mut Value, declared: Value) {
    if let (Value::Object(settings), Value::Object(declared)) = (settings, declared) {
        let declared: Map<String, Value> = declared;
        settings.extend(declared);
    }
}

/// A pair of target groups and the rules that lead to them.
struct Traffic<'a> {
    groups: [&'a str; 2],
    production: &'a str,
    test: Option<&'a str>,
}

impl<'a> Traffic<'a> {
    fn of(balancer: &'a Value) -> Option<Self> {
        let text = |key: &str| balancer.get("advancedConfiguration")?.get(key)?.as_str();
        Some(Self {
            groups: native::pair(balancer)?,
            production: text("productionListenerRule")?,
            test: text("testListenerRule"),
        })
    }

    /// What ECS would find out itself, once the deployment has begun.
    fn check(&self, balancing: &Balancing, wanted: i32) -> Result<(), Waiting> {
        let [one, other] = [self.group(balancing, 0)?, self.group(balancing, 1)?];
        for group in [one, other] {
            if !group.takes_addresses {
                return Err(unfit(format!("the targets of {} are not of type ip", group.name)));
            }
        }
        let of_both =
            [("VPCs", [&one.network, &other.network]), ("protocols", [&one.protocol, &other.protocol])];
        for (what, [first, second]) in of_both {
            if first != second {
                let said = [first, second].map(|said| said.as_deref().unwrap_or("none"));
                let names = format!("the target groups {} and {}", one.name, other.name);
                return Err(unfit(format!("{names} are of different {what}, {} and {}", said[0], said[1])));
            }
        }
        let production = Self::rule(balancing, self.production, "production")?;
        let test = self.test.map(|rule| Self::rule(balancing, rule, "test")).transpose()?;
        self.leads_to_the_live_tasks(production, [one, other], wanted)?;
        if self.test == Some(self.production) {
            return Err(unfit("the test rule is the production rule"));
        }
        let leads = |rule: &Forward, group: &TargetGroup| rule.weights.contains_key(&group.arn);
        for group in [one, other] {
            if !leads(production, group) && !test.is_some_and(|test| leads(test, group)) {
                return Err(unfit(format!(
                    "neither the production rule nor a test rule names the target group {}",
                    group.name
                )));
            }
        }
        Ok(())
    }

    /// Exactly one group is served, it is one of the two, and it is the one with the tasks.
    fn leads_to_the_live_tasks(
        &self,
        production: &Forward,
        groups: [&TargetGroup; 2],
        wanted: i32,
    ) -> Result<(), Waiting> {
        let served: Vec<&str> = production.served().collect();
        let name = |arn: &&str| {
            let group = groups.iter().find(|group| group.arn == **arn);
            group.map_or_else(|| (**arn).to_owned(), |group| group.name.clone())
        };
        // While both have tasks, it cannot be told by them which are live.
        let occupied: Vec<&TargetGroup> = groups.into_iter().filter(|group| group.targets > 0).collect();
        let live = match occupied.as_slice() {
            [live] if wanted > 0 => Some(*live),
            _ => None,
        };
        let is_right = match served.as_slice() {
            [only] => {
                groups.iter().any(|group| group.arn == *only) && live.is_none_or(|live| live.arn == *only)
            }
            _ => false,
        };
        if is_right {
            return Ok(());
        }
        Err(Waiting::ListenerAstray {
            rule: self.production.to_owned(),
            serves: served.iter().map(name).collect(),
            live: live.map(|live| live.name.clone()),
        })
    }

    fn group<'b>(&self, balancing: &'b Balancing, place: usize) -> Result<&'b TargetGroup, Waiting> {
        let arn = self.groups[place];
        let by_name = || {
            let known = |group: &&Reading<TargetGroup>| group.known().is_some_and(|group| group.arn == arn);
            balancing.groups.values().find(known)
        };
        match balancing.groups.get(arn).or_else(by_name) {
            Some(Reading::Known(group)) => Ok(group),
            Some(Reading::Absent) => Err(unfit(format!("there is no target group {arn}"))),
            Some(Reading::Unavailable(why)) => Err(unreadable(why)),
            None => Err(unreadable("it was not read")),
        }
    }

    fn rule<'b>(balancing: &'b Balancing, arn: &str, what: &'static str) -> Result<&'b Forward, Waiting> {
        match balancing.rules.get(arn) {
            Some(Reading::Known(forward)) => Ok(forward),
            Some(Reading::Absent) => Err(unfit(format!("the {what} rule {arn} is not there"))),
            Some(Reading::Unavailable(why)) => Err(unreadable(why)),
            None => Err(unreadable("it was not read")),
        }
    }
}

fn unfit(why: impl Into<String>) -> Waiting {
    Waiting::TrafficUnfit { why: why.into() }
}

fn unreadable(why: &str) -> Waiting {
    Waiting::Unreadable { what: "the load balancer", why: why.to_owned() }
}
