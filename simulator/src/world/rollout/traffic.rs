//! The rules of listeners in a shift: which target group is live is read there, and weights are written there
//! (developer guide, "Application Load Balancer resources for blue/green, linear, and canary deployments").

use serde_json::Value;

use super::Around;
use super::causes::Cause;
use super::native::{NETWORK_ADDS, REWRITING};
use crate::world::ecs::{ALL, Pair, Service, Shift};
use crate::world::elb::Balancing;
use crate::world::input::{Input, list};

/// Where a rolling deployment of a service registers its tasks that shifted its traffic before: what serves stays, since
/// nothing moves the traffic now.
pub(super) fn serving(settings: &Input, balancing: &Balancing) -> Vec<(String, String)> {
    let balancers = list(settings, "loadBalancers").filter_map(Value::as_object);
    let pairs = balancers.filter_map(|balancer| pair(balancer, balancing).ok().flatten());
    pairs.map(|pair| (pair.blue, pair.production)).collect()
}

impl Service {
    /// The new tasks are registered with the target group that the production rule does not lead to. A first revision
    /// is registered with the one that it leads to, since nothing else can serve there.
    pub(super) fn choose_groups(&mut self, shift: &mut Shift, around: &mut Around) -> Result<(), Cause> {
        let settings = self.settings.clone();
        for balancer in list(&settings, "loadBalancers").filter_map(Value::as_object) {
            let Some(pair) = pair(balancer, around.balancing).transpose() else { continue };
            let mut pair =
                pair.map_err(|why| Cause::Shift(format!("of invalid networking configuration. {why}")))?;
            if shift.blue.is_none() {
                std::mem::swap(&mut pair.blue, &mut pair.green);
            }
            shift.pairs.push(pair);
        }
        shift.is_placed = true;
        let target = self.history.first().map(|newest| newest.target);
        if let Some(target) = target.and_then(|target| self.revisions.get_mut(target)) {
            target.groups =
                shift.pairs.iter().map(|pair| (pair.green.clone(), pair.production.clone())).collect();
        }
        Ok(())
    }

    /// Before a deployment that replaces another one in flight, all traffic goes to the revision that has most of it.
    pub(super) fn give_traffic_to_blue(&self, shift: &Shift, around: &mut Around) {
        let blue = shift.blue.and_then(|blue| self.revisions.get(blue));
        for (group, rule) in blue.into_iter().flat_map(|blue| &blue.groups) {
            let tests = list(&self.settings, "loadBalancers").filter_map(Value::as_object);
            let tests = tests.filter_map(|balancer| advanced(balancer, "testListenerRule"));
            for rule in tests.chain([rule.as_str()]) {
                let Some(present) = around.balancing.forward_of(rule) else { continue };
                if !present.iter().any(|(known, _)| known == group) {
                    continue;
                }
                let weights = present.into_iter().map(|(known, _)| {
                    let weight = if known == *group { 100 } else { 0 };
                    (known, weight)
                });
                around.balancing.set_forward(rule, &weights.collect::<Vec<_>>());
            }
        }
    }
}

impl Shift {
    pub(super) fn has_no_test_rule(&self) -> bool {
        self.pairs.iter().all(|pair| pair.test.is_none())
    }

    pub(super) fn rewriting_takes(&self) -> u64 {
        let network = self.pairs.iter().any(|pair| pair.production.contains(":listener/net/"));
        REWRITING + if network { NETWORK_ADDS } else { 0 }
    }

    /// Writes the shares of both kinds of traffic once the stage is so old, both even where one does not change (as AWS
    /// was seen to do); whether they are in force.
    pub(super) fn rewrite_rules(&self, age: u64, around: &mut Around) -> bool {
        if age == REWRITING {
            let production = if self.blue.is_none() { ALL } else { self.production };
            for pair in &self.pairs {
                around.balancing.set_forward(&pair.production, &pair.weights(production));
                if let Some(test) = &pair.test {
                    around.balancing.set_forward(test, &pair.weights(self.test));
                }
            }
        }
        age >= self.rewriting_takes()
    }
}

impl Pair {
    /// Whole percents as such, tenths of them in a thousand: a weight is 999 at most.
    fn weights(&self, green: u64) -> [(String, u64); 2] {
        let (green, all) = if green.is_multiple_of(10) { (green / 10, ALL / 10) } else { (green, ALL) };
        [(self.blue.clone(), all - green), (self.green.clone(), green)]
    }
}

fn advanced<'a>(balancer: &'a Input, key: &str) -> Option<&'a str> {
    balancer.get("advancedConfiguration")?.get(key)?.as_str()
}

/// The pair of a load balancer whose traffic ECS may shift, as the production rule says, and why it cannot be told
/// (developer guide, "Troubleshoot Amazon ECS blue/green deployments").
fn pair(balancer: &Input, balancing: &Balancing) -> Result<Option<Pair>, String> {
    let first = balancer.get("targetGroupArn").and_then(Value::as_str);
    let other = advanced(balancer, "alternateTargetGroupArn");
    let rule = advanced(balancer, "productionListenerRule");
    let Some(((first, other), rule)) = first.zip(other).zip(rule) else { return Ok(None) };
    let none = || "One or more rules not found".to_owned();
    let production = balancing.forward_of(rule).ok_or_else(none)?;
    let test_rule = advanced(balancer, "testListenerRule");
    let test = match test_rule {
        Some(test) => balancing.forward_of(test).ok_or_else(none)?,
        None => Vec::new(),
    };
    let is_there = |group: &str| production.iter().chain(&test).any(|(known, _)| known == group);
    if !is_there(first) || !is_there(other) {
        return Err("Both targetGroup and alternateTargetGroup must be associated with the productionListenerRule or testListenerRule.".to_owned());
    }
    if let Some((group, _)) = production.iter().find(|(group, _)| ![first, other].contains(&group.as_str())) {
        return Err(format!(
            "Production listener rule is forwarding traffic to unexpected target group {group}"
        ));
    }
    let serving: Vec<&str> =
        production.iter().filter(|(_, weight)| *weight > 0).map(|(group, _)| group.as_str()).collect();
    let [blue] = serving.as_slice() else {
        let found = serving.len();
        return Err(format!(
            "productionListenerRule {rule} should have exactly one target group serving traffic but found {found}"
        ));
    };
    let green = if *blue == first { other } else { first };
    Ok(Some(Pair {
        blue: (*blue).to_owned(),
        green: green.to_owned(),
        production: rule.to_owned(),
        test: test_rule.map(str::to_owned),
    }))
}
