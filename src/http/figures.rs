//! Figures that are kept elsewhere in the process, and asked for when somebody asks for metrics.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Names and values. Whoever gives them bounds them.
pub type Labels = Vec<(&'static str, String)>;

/// One metric with all its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Without the prefix of the program, and without the suffix of a counter.
    pub name: &'static str,
    pub help: &'static str,
    pub values: Values,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// How often something has happened.
    Count(Vec<(Labels, u64)>),
    /// Seconds that were spent so far.
    SecondsSpent(Vec<(Labels, f64)>),
    /// How many of something there are now.
    Level(Vec<(Labels, i64)>),
    /// Seconds that something has lasted by now.
    SecondsNow(Vec<(Labels, f64)>),
}

/// Who knows them.
pub(super) struct Source(pub Box<dyn Fn() -> Vec<Figures> + Send + Sync>);

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Source")
    }
}

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        (self.0)().iter().try_for_each(|figures| figures.encode(&mut encoder))
    }
}

impl Figures {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kind = match self.values {
            Values::Count(_) | Values::SecondsSpent(_) => MetricType::Counter,
            Values::Level(_) | Values::SecondsNow(_) => MetricType::Gauge,
        };
        let family = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        match &self.values {
            Values::Count(values) => all(values, ConstCounter::new, family),
            Values::SecondsSpent(values) => all(values, ConstCounter::new, family),
            Values::Level(values) => all(values, ConstGauge::new, family),
            Values::SecondsNow(values) => all(values, ConstGauge::new, family),
        }
    }
}

fn all<T: Copy, M: EncodeMetric>(
    values: &[(Labels, T)],
    metric: impl Fn(T) -> M,
    mut family: MetricEncoder<'_>,
) -> Result<(), std::fmt::Error> {
    match values {
        [(labels, value)] if labels.is_empty() => metric(*value).encode(family),
        _ => {
            values.iter().try_for_each(|(labels, value)| metric(*value).encode(family.encode_family(labels)?))
        }
    }
}
