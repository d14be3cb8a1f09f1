//! Alarms of Amazon `CloudWatch`, which stop deployments.

/// How an alarm stands (Amazon `CloudWatch` API reference, `MetricAlarm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmState {
    Fine,
    /// It is in `ALARM`.
    Active,
    /// What it measures has told too little yet, or a value is newer than this program.
    Unsettled,
}

impl AlarmState {
    /// The words of the API.
    pub fn parse(word: Option<&str>) -> Self {
        match word {
            Some("OK") => Self::Fine,
            Some("ALARM") => Self::Active,
            _ => Self::Unsettled,
        }
    }
}
