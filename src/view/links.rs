//! Addresses of pages that tell more: those of AWS's console, in every partition, and those of commits. Pure: from an ARN or an
//! address to an address, and nothing where it would be guessed.

use std::fmt::Write as _;

use crate::address::Place;

/// Where the console of a region is.
struct Console<'a> {
    region: &'a str,
    host: &'static str,
    /// What an ARN says behind its account.
    resource: &'a str,
}

/// The console that shows what an ARN names (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
fn console(arn: &str) -> Option<Console<'_>> {
    let mut parts = arn.splitn(6, ':');
    let (_, partition, _, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let resource = parts.nth(1)?;
    let host = match partition {
        "aws" => "console.aws.amazon.com",
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        // A partition that this program does not know has a console at an address of its own.
        _ => return None,
    };
    let is_plain =
        !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain.then_some(Console { region, host, resource })
}

impl Console<'_> {
    fn page(&self, path: &str) -> String {
        let Self { region, host, .. } = self;
        format!("https://{region}.{host}/{path}?region={region}")
    }
}

/// The page of a service, by its ARN: `…:service/<cluster>/<service>`. ARNs of 2018 and before name no cluster.
pub fn service(arn: &str) -> Option<String> {
    of_service(arn, "health")
}

/// The list of its deployments.
pub fn deployments(arn: &str) -> Option<String> {
    of_service(arn, "deployments")
}

/// The ARN of a service in the account and region of this task definition.
pub fn service_beside(task_definition: &str, cluster: &str, service: &str) -> Option<String> {
    let (place, _) = task_definition.split_once(":task-definition/")?;
    Some(format!("{place}:service/{cluster}/{service}"))
}

fn of_service(arn: &str, tab: &str) -> Option<String> {
    let console = console(arn)?;
    let (cluster, service) = console.resource.strip_prefix("service/")?.split_once('/')?;
    let (cluster, service) = (encoded(cluster), encoded(service));
    Some(console.page(&format!("ecs/v2/clusters/{cluster}/services/{service}/{tab}")))
}

/// The page of a deployment of CodeDeploy, in the region of this ARN.
pub fn code_deploy(arn: &str, deployment: &str) -> Option<String> {
    let console = console(arn).filter(|_| deployment.starts_with("d-"))?;
    Some(console.page(&format!("codesuite/codedeploy/deployments/{}", encoded(deployment))))
}

/// The page of a task, by its ARN: `…:task/<cluster>/<id>`.
pub fn task(arn: &str) -> Option<String> {
    let console = console(arn)?;
    let (cluster, id) = console.resource.strip_prefix("task/")?.split_once('/')?;
    Some(console.page(&format!("ecs/v2/clusters/{}/tasks/{}/configuration", encoded(cluster), encoded(id))))
}

/// The page of a task definition, by its ARN: `…:task-definition/<family>:<revision>`.
pub fn task_definition(arn: &str) -> Option<String> {
    let console = console(arn)?;
    let (family, revision) = console.resource.strip_prefix("task-definition/")?.split_once(':')?;
    Some(console.page(&format!(
        "ecs/v2/task-definitions/{}/{}/containers",
        encoded(family),
        encoded(revision)
    )))
}

/// The page of a log group, in the partition of this ARN, and in its region where none is named. The part behind `#` is encoded
/// twice, with a dollar sign in the place of the second percent sign.
pub fn log_group(arn: &str, region: Option<&str>, group: &str) -> Option<String> {
    let console = console(arn)?;
    let is_plain = |region: &&str| region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let region = region.map_or(Some(console.region), |region| Some(region).filter(is_plain))?;
    let page = Console { region, ..console }.page("cloudwatch/home");
    let group = encoded(&encoded(group)).replace('%', "$");
    Some(format!("{page}#logsV2:log-groups/log-group/{group}"))
}

/// The page of a commit, where the repository is at GitHub or GitLab.
pub fn commit(repository: &str, commit: &str) -> Option<String> {
    let is_commit = commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let repository = web(repository).filter(|_| is_commit)?;
    let host = repository.strip_prefix("https://")?.split('/').next()?;
    let below = match host {
        _ if host.contains("gitlab") => "-/commit",
        _ if host.contains("github") => "commit",
        _ => return None,
    };
    Some(format!("{repository}/{below}/{commit}"))
}

/// The page of a repository, by the address that git uses: `https://…`, `ssh://…` or `git@host:path`. `None` where it is no such
/// address, or has anything in it that could be a secret or end a link.
pub fn web(address: &str) -> Option<String> {
    let Place { host, path } = Place::of_repository(address).filter(|_| !address.starts_with("http://"))?;
    Some(format!("https://{host}/{path}"))
}

/// Everything but letters, digits and what RFC 3986 calls unreserved.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_console_is_in_the_partition_of_its_arn() {
        for (partition, region, host) in [
            ("aws", "eu-west-2", "eu-west-2.console.aws.amazon.com"),
            ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
            ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ] {
            let arn = |resource: &str| format!("arn:{partition}:ecs:{region}:123456789012:{resource}");
            let ecs = format!("https://{host}/ecs/v2");
            let query = format!("?region={region}");
            let of_service = arn("service/mco/mco-api");
            assert_eq!(
                service(&of_service),
                Some(format!("{ecs}/clusters/mco/services/mco-api/health{query}"))
            );
            let list = format!("{ecs}/clusters/mco/services/mco-api/deployments{query}");
            assert_eq!(deployments(&of_service), Some(list));
            let page = format!("{ecs}/clusters/mco/tasks/0123abc/configuration{query}");
            assert_eq!(task(&arn("task/mco/0123abc")), Some(page));
            let page = format!("{ecs}/task-definitions/mco-api/43/containers{query}");
            assert_eq!(task_definition(&arn("task-definition/mco-api:43")), Some(page));
            let page = format!("https://{host}/codesuite/codedeploy/deployments/d-ABCDEF{query}");
            assert_eq!(code_deploy(&of_service, "d-ABCDEF"), Some(page));
            let page = format!(
                "https://{host}/cloudwatch/home{query}#logsV2:log-groups/log-group/$252Fmco$252Fapi$2520x"
            );
            assert_eq!(log_group(&of_service, None, "/mco/api x"), Some(page));
        }
        let arn = "arn:aws:ecs:eu-west-2:123456789012:service/mco/mco-api";
        let other = log_group(arn, Some("eu-west-1"), "g").unwrap();
        assert!(
            other.starts_with("https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#")
        );
    }

    #[test]
    fn what_is_no_such_arn_leads_nowhere() {
        for arn in [
            "",
            "mco-api",
            "arn:aws-iso:ecs:us-iso-east-1:1:service/mco/api",
            "arn:aws:ecs::1:service/mco/api",
            "arn:aws:ecs:evil.com/x:1:service/mco/api",
            "arn:aws:ecs:eu-west-2:1:service/api",
            "arn:aws:ecs:eu-west-2:1:cluster/mco",
        ] {
            assert_eq!((service(arn), task(arn), task_definition(arn)), (None, None, None), "{arn}");
        }
        let arn = "arn:aws:ecs:eu-west-2:1:service/mco/a b?x#y";
        assert!(service(arn).unwrap().contains("/services/a%20b%3Fx%23y/health?region="));
        assert_eq!(code_deploy(arn, "0123"), None);
        assert_eq!(log_group(arn, Some("x.evil.com/"), "g"), None);
    }

    #[test]
    fn a_commit_has_a_page_at_github_and_gitlab() {
        for (repository, expected) in [
            ("https://github.com/mco/infra", Some("https://github.com/mco/infra/commit/8c1f0aa")),
            ("https://github.com/mco/infra.git/", Some("https://github.com/mco/infra/commit/8c1f0aa")),
            ("git@github.com:mco/infra.git", Some("https://github.com/mco/infra/commit/8c1f0aa")),
            (
                "ssh://git@gitlab.example.com:2222/a/b/infra.git",
                Some("https://gitlab.example.com/a/b/infra/-/commit/8c1f0aa"),
            ),
            ("https://gitlab.com/mco/infra", Some("https://gitlab.com/mco/infra/-/commit/8c1f0aa")),
            ("https://example.com/mco/infra", None),
            ("https://user:secret@github.com/mco/infra", None),
            ("http://github.com/mco/infra", None),
            ("/home/me/infra", None),
            ("javascript:alert(1)//github.com/x", None),
            ("https://github.com/mco/in) [x](evil", None),
        ] {
            assert_eq!(commit(repository, "8c1f0aa").as_deref(), expected, "{repository}");
        }
        assert_eq!(commit("https://github.com/mco/infra", "v1.2"), None);
    }
}
