//! Times as AWS gives them: with milliseconds, which the world does not count.

use serde_json::{Value, json};

use super::ids::mixed;

/// A point in time, which the world counts in whole seconds. All of one second have the same milliseconds, so that the
/// order stays.
pub(super) fn moment(seconds: u64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 and milliseconds fit")]
    let time = seconds as f64 + milliseconds(seconds) as f64 / 1000.0;
    json!(time)
}

/// The same in ISO 8601, as in XML.
pub(crate) fn iso(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let milliseconds = milliseconds(seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// The same as in a header of HTTP (RFC 9110, section 5.6.7).
pub(crate) fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let name = |names: &[&'static str], index: u64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
    };
    let (weekday, month) = (name(&DAYS, days % 7), name(&MONTHS, month.saturating_sub(1)));
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

fn milliseconds(seconds: u64) -> u64 {
    mixed(seconds) % 1000
}

/// Year, month and day of so many days after 1970-01-01. Years begin in March here, so that the leap day is their last
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_order_and_have_milliseconds() {
        let times: Vec<f64> = (1_767_225_600..1_767_226_600).filter_map(|at| moment(at).as_f64()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(times.iter().any(|time| time.fract() != 0.0));
    }

    #[test]
    fn a_date_of_http_has_its_day_of_the_week() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(1_772_323_200), "Sun, 01 Mar 2026 00:00:00 GMT");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, day) in [
            (0, "1970-01-01T00:00:00."),
            (951_782_399, "2000-02-28T23:59:59."),
            (951_782_400, "2000-02-29T00:00:00."),
            (1_767_225_600, "2026-01-01T00:00:00."),
            (1_772_323_200, "2026-03-01T00:00:00."),
        ] {
            assert!(iso(seconds).starts_with(day), "{}", iso(seconds));
        }
    }
}
