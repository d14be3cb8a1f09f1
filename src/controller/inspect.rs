//! What `verify` looks at: a target in depth, and what stands around it. Nothing is decided here, and nothing is written.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use serde_json::Value;

use super::access::Access;
use crate::model::surroundings::{Placed, Questions, Surroundings, Who};
use crate::model::{Desired, InfraCommit, Observed, Reading, Waiting};
use crate::plan::{self, Input};
use crate::ports::{CloudError, Ports};

/// Questions that are asked side by side. AWS's rates are kept below the ports.
const AT_ONCE: usize = 16;

/// One target, read with all that is remembered of it.
pub struct Inspection {
    pub observed: Observed,
    /// What would be registered, or why that cannot be told.
    pub task_definition: Result<Value, Waiting>,
}

impl Access {
    /// From a reading that was made before.
    pub async fn inspect(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        observed: &Observed,
    ) -> Inspection {
        let observed = self.in_depth(desired, head, observed).await;
        let input = Input::of_reading(desired, &observed, head, self.clock.now());
        let task_definition = plan::task_definition(&input);
        Inspection { observed, task_definition }
    }

    /// Each question once. An answer that does not come is told like one, and hides no other.
    pub async fn look_around(&self, questions: &Questions) -> Surroundings {
        let inspect = &self.ports.inspect;
        let roles = each(&questions.roles, async |arn| inspect.role(arn).await);
        let is_asked = questions.permissions.iter().any(|permission| permission.who == Who::Caller);
        let caller = async { if is_asked { Some(inspect.caller().await) } else { None } };
        let secrets =
            each(&questions.secrets, async |one: &Placed| self.of(one).inspect.secret(&one.name).await);
        let parameters =
            each(&questions.parameters, async |one: &Placed| self.of(one).inspect.parameter(&one.name).await);
        let log_groups =
            each(&questions.log_groups, async |one: &Placed| self.of(one).inspect.log_group(&one.name).await);
        let lifecycles = each(&questions.repositories, async |shelf| {
            let ports = self.ports_in(shelf.region.as_ref());
            ports.inspect.lifecycle(shelf.account.as_ref(), &shelf.name).await
        });
        let alarms = each(&questions.alarms, async |name: &String| {
            let found = self.ports.alarms.alarm(name).await?;
            found.ok_or_else(|| CloudError::NotFound(name.clone()))
        });
        let functions = each(&questions.functions, async |name| inspect.function(name).await);
        let subnets = in_batches(&questions.subnets, async |ids| inspect.subnets(ids).await);
        let groups = in_batches(&questions.security_groups, async |ids| inspect.security_groups(ids).await);
        let target_groups = each(&questions.target_groups, async |arn: &String| {
            let found = self.ports.balancers.target_group(arn).await?;
            found.ok_or_else(|| CloudError::NotFound(arn.clone()))
        });
        let (subnets, security_groups, target_groups) = futures::join!(subnets, groups, target_groups);
        let (roles, caller, secrets, parameters, log_groups, lifecycles, alarms, functions) =
            futures::join!(roles, caller, secrets, parameters, log_groups, lifecycles, alarms, functions);
        let permissions = each(&questions.permissions, async |permission| {
            let principal = match (&permission.who, &caller) {
                (Who::Role(arn), _) => arn,
                (Who::Caller, Some(Ok(arn))) => arn,
                (Who::Caller, Some(Err(error))) => return Err(error.clone()),
                (Who::Caller, None) => return Err(CloudError::Unavailable("it was not asked".to_owned())),
            };
            inspect.is_allowed(principal, permission).await
        });
        let permissions = permissions.await;
        Surroundings {
            roles,
            permissions,
            secrets,
            parameters,
            log_groups,
            lifecycles,
            alarms,
            functions,
            subnets,
            security_groups,
            target_groups,
        }
    }

    fn of(&self, placed: &Placed) -> Ports {
        self.ports_in(placed.region.as_ref())
    }
}

/// Ids that one call asks for: a filter takes two hundred values (Amazon EC2 API reference, "Filtering").
const BATCH: usize = 200;

/// The same where one call answers many: what it leaves out is not there.
async fn in_batches<A: Clone>(
    questions: &BTreeSet<String>,
    ask: impl AsyncFn(&[String]) -> Result<std::collections::BTreeMap<String, A>, CloudError>,
) -> std::collections::BTreeMap<String, Reading<A>> {
    let all: Vec<String> = questions.iter().cloned().collect();
    let mut answers = std::collections::BTreeMap::new();
    for ids in all.chunks(BATCH) {
        let found = ask(ids).await;
        answers.extend(ids.iter().map(|id| {
            let reading = match &found {
                Ok(found) => found.get(id).cloned().map_or(Reading::Absent, Reading::Known),
                Err(error) => Reading::from(Err(error.clone())),
            };
            (id.clone(), reading)
        }));
    }
    answers
}

/// The answers to questions of one kind, by what was asked.
async fn each<'q, Q, A>(
    questions: &'q BTreeSet<Q>,
    ask: impl AsyncFn(&'q Q) -> Result<A, CloudError>,
) -> std::collections::BTreeMap<Q, Reading<A>>
where
    Q: Ord + Clone,
{
    let ask = &ask;
    let asked = questions.iter().map(async |question| (question.clone(), Reading::from(ask(question).await)));
    futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
}
