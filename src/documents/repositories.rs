//! The ECR repositories that a task definition takes images from.

use serde_json::Value;

use super::containers;
use crate::model::{Desired, ImageRepository, TaskDefinitionSource};

/// Those of the images of private registries, which are the operator's to allow; whatever runs beside the application too.
pub fn of_task_definition(input: &Value) -> impl Iterator<Item = ImageRepository<'_>> {
    containers::images(input).filter_map(|(_, image)| of_image(image))
}

/// Those of the images that are declared, and of the files.
pub fn declared(desired: &Desired) -> Vec<ImageRepository<'_>> {
    let of_the_registry = |name| ImageRepository { account: None, name };
    let mut all: Vec<ImageRepository<'_>> =
        desired.images.iter().map(|image| of_the_registry(image.repository.as_str())).collect();
    if let TaskDefinitionSource::File { input, .. } = &desired.task_definition {
        all.extend(of_task_definition(input));
    }
    all.extend(desired.overlay.patch.iter().flat_map(of_task_definition));
    all
}

/// What stands where the account of a private registry stands, in the address of an image.
pub fn account_in(image: &str) -> Option<&str> {
    of_image(image)?.account
}

/// The repository of an image in a private registry of ECR, at whichever of its addresses (Amazon ECR user guide, private
/// registries: `ACCOUNT.dkr.ecr.REGION…`, `ACCOUNT.dkr.ecr-fips.REGION…` and `ACCOUNT.dkr-ecr.REGION.on.aws`).
fn of_image(image: &str) -> Option<ImageRepository<'_>> {
    let (host, path) = image.split_once('/')?;
    let small = host.to_ascii_lowercase();
    let behind_the_account = [".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips."]
        .iter()
        .find_map(|part| small.find(part))?;
    let name = path.split(['@', ':']).next().unwrap_or(path);
    Some(ImageRepository { account: host.get(..behind_the_account), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_known_at_every_address_of_a_registry() {
        for (image, expected) in [
            ("123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:1", Some(("123456789012", "mco/api"))),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/mco/api@sha256:00",
                Some(("123456789012", "mco/api")),
            ),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/a:1@sha256:00", Some(("123456789012", "a"))),
            ("123456789012.dkr-ecr.eu-west-2.on.aws/a", Some(("123456789012", "a"))),
            ("123456789012.DKR.ECR.eu-west-2.amazonaws.com/a", Some(("123456789012", "a"))),
            ("public.ecr.aws/nginx/nginx:1", None),
            ("nginx:1", None),
            ("<IMAGE_NAME>", None),
            ("", None),
        ] {
            let expected = expected.map(|(account, name)| ImageRepository { account: Some(account), name });
            assert_eq!(of_image(image), expected, "{image}");
        }
    }
}
