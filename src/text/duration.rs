//! Durations as people write them: `30s`, `15m`, `1h`. Zero needs no unit.

use std::time::Duration;

/// What is said of a text that is none.
pub(crate) const EXPECTED: &str = "expected a number with s, m or h, such as 15m";

/// Nothing that a repository lets anybody wait for takes longer: what is more is a slip of the pen.
pub(crate) const LONGEST: Duration = Duration::from_hours(30 * 24);

pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_one_unit() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("15m", Some(900)),
            ("1h", Some(3600)),
            ("007s", Some(7)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("m", None),
            ("15", None),
            ("15 m", None),
            ("+15m", None),
            ("-1m", None),
            ("1.5h", None),
            ("1h30m", None),
            ("15min", None),
            ("15µ", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(parse(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
