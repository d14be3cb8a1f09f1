//! The repositories that a task definition takes images from.

use std::collections::BTreeSet;

use serde_json::Value;

use super::containers;
use crate::model::{Desired, ImageRepository, TaskDefinitionSource};

/// Those of all its images, which are the operator's to allow; of whatever runs beside the application too.
pub fn of_task_definition(input: &Value) -> impl Iterator<Item = ImageRepository<'_>> {
    containers::images(input).filter_map(|(_, image)| of_image(image))
}

/// Those of the images that are declared, and of the files. What stands there for an image that is put in counts for nothing.
pub fn declared(desired: &Desired) -> Vec<ImageRepository<'_>> {
    let declared = desired.images.iter().map(|image| image.repository.as_str());
    let mut all: Vec<ImageRepository<'_>> = declared.map(|name| ImageRepository::Declared { name }).collect();
    let file = match &desired.task_definition {
        TaskDefinitionSource::File { input, .. } => Some(&**input),
        TaskDefinitionSource::Service | TaskDefinitionSource::Family(_) => None,
    };
    for input in file.into_iter().chain(&desired.overlay.patch) {
        let put_in = desired.images.iter().filter_map(|image| containers::of_image(image, input).ok());
        let put_in: BTreeSet<String> = put_in.flatten().collect();
        let stay = containers::images(input).filter(|(container, _)| !put_in.contains(*container));
        all.extend(stay.filter_map(|(_, image)| of_image(image)));
    }
    all
}

/// What stands where the account of a private registry stands, in the address of an image.
pub fn account_in(image: &str) -> Option<&str> {
    match of_image(image)? {
        ImageRepository::Private { account, .. } => Some(account),
        ImageRepository::Declared { .. } | ImageRepository::Elsewhere { .. } => None,
    }
}

const DOCKER: &str = "docker.io";
/// How the hosts of private registries of ECR go on behind the account, and behind the region (Amazon ECR user guide, private
/// registries; botocore's `partitions.json`).
const BEHIND_ACCOUNTS: [&str; 4] = [".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips."];
const BEHIND_REGIONS: [&str; 10] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "on.amazonwebservices.eu",
];

/// Where an image is pulled from, by the rules of Docker for its name; `None` where there is none.
fn of_image(image: &str) -> Option<ImageRepository<'_>> {
    let is_host = |text: &str| {
        text == "localhost" || text.contains(['.', ':']) || text.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    let (host, path) = match image.split_once('/') {
        Some((host, path)) if is_host(host) => (host, path),
        _ => (DOCKER, image),
    };
    let name = path.split(['@', ':']).next().filter(|name| !name.is_empty())?;
    if let Some(account) = account_of(host) {
        return Some(ImageRepository::Private { host, account, name });
    }
    let host = if host == "index.docker.io" { DOCKER } else { host };
    let folder = if host == DOCKER && !name.contains('/') { "library/" } else { "" };
    Some(ImageRepository::Elsewhere { host, folder, name })
}

fn account_of(host: &str) -> Option<&str> {
    let small = host.to_ascii_lowercase();
    let (at, behind) = BEHIND_ACCOUNTS.iter().find_map(|part| Some((small.find(part)?, part)))?;
    let (_, rest) = small.get(at + behind.len()..)?.split_once('.')?;
    BEHIND_REGIONS.contains(&rest).then(|| host.get(..at))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_known_at_every_address_of_a_registry() {
        for (image, expected) in [
            ("123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:1", ("123456789012", "mco/api")),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/mco/api@sha256:00",
                ("123456789012", "mco/api"),
            ),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/a:1@sha256:00", ("123456789012", "a")),
            ("123456789012.dkr-ecr.eu-west-2.on.aws/a", ("123456789012", "a")),
            ("123456789012.DKR.ECR.eu-west-2.amazonaws.com/a", ("123456789012", "a")),
        ] {
            let (account, name) = expected;
            let found = of_image(image);
            let is_found = matches!(found, Some(ImageRepository::Private { account: found, name: of, .. }) if (found, of) == (account, name));
            assert!(is_found, "{image}: {found:?}");
        }
        for (image, expected) in [
            ("public.ecr.aws/nginx/nginx:1", "public.ecr.aws/nginx/nginx"),
            ("nginx:1", "docker.io/library/nginx"),
            ("nginx@sha256:00", "docker.io/library/nginx"),
            ("index.docker.io/nginx", "docker.io/library/nginx"),
            ("docker.io/mco/api:1", "docker.io/mco/api"),
            ("mco/api:1", "docker.io/mco/api"),
            ("registry.example.com:5000/api:1", "registry.example.com:5000/api"),
            ("localhost/api", "localhost/api"),
            ("Example/api", "Example/api"),
            // Whoever has a domain can have such a name below it.
            (
                "123456789012.dkr.ecr.eu-west-2.example.com/mco/api:1",
                "123456789012.dkr.ecr.eu-west-2.example.com/mco/api",
            ),
            (
                "123456789012.dkr.ecr.eu-west-2.amazonaws.com.example.com/a",
                "123456789012.dkr.ecr.eu-west-2.amazonaws.com.example.com/a",
            ),
        ] {
            let found = of_image(image);
            let is_found = matches!(&found, Some(one @ ImageRepository::Elsewhere { .. }) if one.to_string() == expected);
            assert!(is_found, "{image}: {found:?}");
        }
        assert_eq!(of_image(""), None);
    }
}
