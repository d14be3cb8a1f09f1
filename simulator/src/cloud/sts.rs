//! `AssumeRole` (AWS STS API reference; IAM user guide, "Methods to assume a role").

use serde_json::{Value, json};

use super::access::{Access, Session, last_part};
use crate::world::ids::{hexadecimal, letters};
use crate::world::times::iso;
use crate::world::{Answer, AwsError, Principal, partition};

/// Seconds of a session, at the least and if nothing is said.
const SHORTEST: u64 = 900;
const DEFAULT: u64 = 3600;
/// Of any role, and of one that a session assumes ("role chaining").
const LONGEST: u64 = 43_200;
const LONGEST_CHAINED: u64 = 3600;

pub(super) fn assume_role(
    access: &mut Access,
    principal: &Principal,
    region: &str,
    input: &Value,
    now: u64,
) -> Answer {
    let asked = Asked::of(input)?;
    // "It's the account of the caller that needs the region enabled", not that of the role.
    if !access.is_enabled(&principal.account, region) {
        let message = format!(
            "STS is not activated in this region for account:{}. Your account administrator can activate STS in this region using the IAM Console.",
            principal.account
        );
        return Err(AwsError::with_status("RegionDisabledException", message, 403));
    }
    let role = access.role(asked.role).filter(|role| role.lets_in(principal, asked.external_id));
    let Some(role) = role else { return Err(not_authorized(principal, asked.role)) };
    let longest = if principal.role.is_some() { LONGEST_CHAINED } else { role.longest_session };
    if asked.seconds > longest {
        let message = if principal.role.is_some() {
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        } else {
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        };
        return Err(AwsError::client("ValidationError", message));
    }
    let (account, name) = (role.account.clone(), last_part(&role.name).to_owned());
    let expires = now.saturating_add(asked.seconds);
    let id = format!("AROA{}", letters(crate::world::ids::place(asked.role)).to_uppercase());
    let id = format!("{}:{}", id.replace(['-', '_'], "X").get(..20).unwrap_or(&id), asked.session);
    let arn = format!("arn:{}:sts::{account}:assumed-role/{name}/{}", partition(region), asked.session);
    let principal =
        Principal { account, arn: arn.clone(), id: id.clone(), role: Some(asked.role.to_owned()) };
    let mut token = String::new();
    let key = access.begin(|number| {
        token = format!("{}{}", hexadecimal(number), hexadecimal(!number));
        Session { token: token.clone(), principal, expires }
    });
    Ok(json!({
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": format!("{token:.40}"),
            "SessionToken": token,
            "Expiration": iso(expires),
        },
        "AssumedRoleUser": {"AssumedRoleId": id, "Arn": arn},
    }))
}

/// A role that is not there is told like one that trusts somebody else.
fn not_authorized(principal: &Principal, role: &str) -> AwsError {
    let message =
        format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role}", principal.arn);
    AwsError::with_status("AccessDenied", message, 403)
}

struct Asked<'a> {
    role: &'a str,
    session: &'a str,
    external_id: Option<&'a str>,
    seconds: u64,
}

impl<'a> Asked<'a> {
    fn of(input: &'a Value) -> Result<Self, AwsError> {
        let text = |key: &str| input.get(key).and_then(Value::as_str);
        let seconds = match text("DurationSeconds") {
            None => DEFAULT,
            Some(seconds) => {
                seconds.parse().ok().filter(|seconds| (SHORTEST..=LONGEST).contains(seconds)).ok_or_else(
                    || refused("durationSeconds", &format!("have value between {SHORTEST} and {LONGEST}")),
                )?
            }
        };
        let role = text("RoleArn").filter(|role| (20..=2048).contains(&role.len()));
        let is_name = |name: &&str| (2..=64).contains(&name.len()) && name.bytes().all(is_plain);
        let is_external = |id: &&str| {
            (2..=1224).contains(&id.len())
                && id.bytes().all(|byte| is_plain(byte) || matches!(byte, b':' | b'/'))
        };
        let external_id = text("ExternalId");
        if external_id.is_some_and(|id| !is_external(&id)) {
            return Err(refused("externalId", "satisfy regular expression pattern: [\\w+=,.@:\\/-]*"));
        }
        Ok(Self {
            role: role.ok_or_else(|| refused("roleArn", "have length from 20 to 2048"))?,
            session: text("RoleSessionName").filter(is_name).ok_or_else(|| {
                refused("roleSessionName", "satisfy regular expression pattern: [\\w+=,.@-]*")
            })?,
            external_id,
            seconds,
        })
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

fn refused(member: &str, must: &str) -> AwsError {
    let message = format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must {must}"
    );
    AwsError::client("ValidationError", message)
}
