//! What the calls of AWS have cost, as metrics. Labels are accounts, regions and categories of operations.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// What one category of operations has cost in one account and region.
#[derive(Clone, Debug)]
pub struct Calls {
    pub account: String,
    pub region: String,
    pub category: &'static str,
    pub calls: u64,
    /// Those that AWS throttled.
    pub refusals: u64,
    /// How long calls were held back to keep within the rate, in seconds.
    pub waited: f64,
}

/// Asked when somebody asks for metrics.
pub(super) struct CallsCollector(pub Box<dyn Fn() -> Vec<Calls> + Send + Sync>);

impl std::fmt::Debug for CallsCollector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CallsCollector")
    }
}

impl Collector for CallsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let all = (self.0)();
        let labels = |one: &Calls| {
            [
                ("account", one.account.clone()),
                ("region", one.region.clone()),
                ("category", one.category.to_owned()),
            ]
        };
        let mut calls = encoder.encode_descriptor(
            "aws_calls",
            "Calls of AWS that were answered",
            None,
            MetricType::Counter,
        )?;
        for one in &all {
            ConstCounter::new(one.calls).encode(calls.encode_family(&labels(one))?)?;
        }
        let mut refusals = encoder.encode_descriptor(
            "aws_throttled",
            "Calls that AWS throttled",
            None,
            MetricType::Counter,
        )?;
        for one in &all {
            ConstCounter::new(one.refusals).encode(refusals.encode_family(&labels(one))?)?;
        }
        let help = "Seconds that calls were held back to keep within the rates of AWS";
        let mut waited =
            encoder.encode_descriptor("aws_call_wait_seconds", help, None, MetricType::Counter)?;
        for one in &all {
            ConstCounter::new(one.waited).encode(waited.encode_family(&labels(one))?)?;
        }
        Ok(())
    }
}
