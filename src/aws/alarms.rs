//! Alarms of Amazon `CloudWatch`, of which this only reads how they stand.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::json;

use super::answer::{list, text};
use super::batch::{Batch, Terms};
use super::caller::Client;
use crate::model::AlarmState;
use crate::ports::{Alarms, CloudError};

/// Names of one request, and alarms of its answer unless it asks for fewer (Amazon `CloudWatch` API reference, `DescribeAlarms`): the
/// answer to so many has no second page.
const MOST_NAMES: usize = 50;

pub(super) struct AlarmsClient {
    client: Client,
    states: Batch<String, AlarmState>,
}

impl AlarmsClient {
    pub fn new(client: Client) -> Self {
        Self { states: Batch::new(Terms::new(MOST_NAMES, client.linger())), client }
    }

    /// Without the types only alarms of a metric are told. A name that there is none of is left out of the answer.
    async fn states(&self, names: Vec<String>) -> Result<BTreeMap<String, AlarmState>, CloudError> {
        let input = json!({
            "AlarmNames": names,
            "AlarmTypes": ["MetricAlarm", "CompositeAlarm"],
            "MaxRecords": 100,
        });
        let answer = self.client.read("DescribeAlarms", input).await?;
        let all = ["MetricAlarms", "CompositeAlarms"].into_iter().flat_map(|kind| list(&answer, kind));
        let state = |alarm| {
            let name = text(alarm, "AlarmName")?.to_owned();
            Some((name, AlarmState::parse(text(alarm, "StateValue"))))
        };
        Ok(all.filter_map(state).collect())
    }
}

#[async_trait]
impl Alarms for AlarmsClient {
    async fn alarm(&self, name: &str) -> Result<Option<AlarmState>, CloudError> {
        self.states.ask(name.to_owned(), |names| self.states(names)).await
    }
}
