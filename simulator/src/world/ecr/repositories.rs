//! Repositories and the mutability of their tags (Amazon ECR API reference: `Repository`, `PutImageTagMutability`; user
//! guide, "Preventing image tags from being overwritten").

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Registry, Repository};
use crate::world::input::{Input, flag, invalid, list, optional, page, text, texts, with_token};
use crate::world::times::moment;
use crate::world::wildcard::wildcard;
use crate::world::{Answer, AwsError};

impl Repository {
    pub(super) fn is_mutable(&self, tag: &str) -> bool {
        let excluded = self.exclusions.iter().any(|pattern| wildcard(pattern, tag));
        match self.mutability.as_str() {
            "IMMUTABLE" => false,
            "IMMUTABLE_WITH_EXCLUSION" => excluded,
            "MUTABLE_WITH_EXCLUSION" => !excluded,
            _ => true,
        }
    }
}

impl Registry {
    pub(super) fn create_repository(&mut self, input: &Input, now: u64) -> Answer {
        let name = text(input, "repositoryName")?.to_owned();
        if !is_repository_name(&name) {
            return Err(invalid(
                "Invalid parameter at 'repositoryName' failed to satisfy constraint: 2 to 256 lower-case letters, digits and separators",
            ));
        }
        if self.repositories.contains_key(&name) {
            let message = format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                self.account
            );
            return Err(AwsError::client("RepositoryAlreadyExistsException", message));
        }
        let scan = input.get("imageScanningConfiguration").and_then(|scan| scan.get("scanOnPush"));
        let (mutability, exclusions) = mutability(input, "MUTABLE")?;
        let repository = Repository {
            created_at: now,
            mutability,
            exclusions,
            scan_on_push: scan.and_then(Value::as_bool) == Some(true),
            policy: None,
            lifecycle: None,
            images: std::collections::BTreeMap::new(),
            layers: std::collections::BTreeMap::new(),
            contents: std::collections::BTreeMap::new(),
        };
        let described = self.describe(&name, &repository);
        Arc::make_mut(&mut self.repositories).insert(name, repository);
        Ok(json!({"repository": described}))
    }

    fn describe(&self, name: &str, repository: &Repository) -> Value {
        let mut described = json!({
            "repositoryArn": format!("arn:aws:ecr:{}:{}:repository/{name}", self.region, self.account),
            "registryId": self.account,
            "repositoryName": name,
            "repositoryUri": format!("{}/{name}", self.host()),
            "createdAt": moment(repository.created_at),
            "imageTagMutability": repository.mutability,
            "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        });
        if !repository.exclusions.is_empty() {
            described["imageTagMutabilityExclusionFilters"] = filters(&repository.exclusions);
        }
        described
    }

    /// One name that is missing fails the whole call.
    pub(super) fn describe_repositories(&mut self, input: &Input) -> Answer {
        let names: Vec<&str> = texts(input, "repositoryNames").collect();
        let paged = input.contains_key("nextToken") || input.contains_key("maxResults");
        if names.len() > 100 || (paged && !names.is_empty()) {
            return Err(invalid("Invalid parameter: repositoryNames takes at most 100 names and no paging"));
        }
        if let Some(missing) = names.iter().find(|name| !self.repositories.contains_key(**name)) {
            return Err(self.missing(missing));
        }
        let chosen =
            self.repositories.iter().filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()));
        let described = chosen.map(|(name, repository)| self.describe(name, repository)).collect();
        let (repositories, token) = page(described, input, 100, 1000)?;
        Ok(with_token(json!({"repositories": repositories}), token))
    }

    pub(super) fn delete_repository(&mut self, input: &Input) -> Answer {
        let (repository, name) = self.repository(input)?;
        if !repository.images.is_empty() && !flag(input, "force") {
            let message = format!(
                "The repository with name '{name}' in registry with id '{}' cannot be deleted because it still contains images",
                self.account
            );
            return Err(AwsError::client("RepositoryNotEmptyException", message));
        }
        let described = self.describe(&name, repository);
        Arc::make_mut(&mut self.repositories).remove(&name);
        Ok(json!({"repository": described}))
    }

    pub(super) fn put_image_tag_mutability(&mut self, input: &Input) -> Answer {
        text(input, "imageTagMutability")?;
        let (mutability, exclusions) = mutability(input, "")?;
        let account = self.account.clone();
        let (repository, name) = self.repository_mut(input)?;
        repository.mutability.clone_from(&mutability);
        repository.exclusions = exclusions;
        Ok(json!({
            "registryId": account,
            "repositoryName": name,
            "imageTagMutability": mutability,
            "imageTagMutabilityExclusionFilters": filters(&repository.exclusions),
        }))
    }

    /// A token that opens nothing: no registry is served.
    pub(super) fn authorization(&self, now: u64) -> Value {
        json!({"authorizationData": [{
            "authorizationToken": STANDARD.encode("AWS:simulator"),
            "expiresAt": moment(now + 12 * 3600),
            "proxyEndpoint": format!("https://{}", self.host()),
        }]})
    }
}

fn filters(exclusions: &[String]) -> Value {
    exclusions.iter().map(|filter| json!({"filterType": "WILDCARD", "filter": filter})).collect()
}

/// Mutability and its filters: one to five where there are exclusions, none elsewhere (Amazon ECR API reference,
/// `ImageTagMutabilityExclusionFilter`).
fn mutability(input: &Input, default: &str) -> Result<(String, Vec<String>), AwsError> {
    let mutability = optional(input, "imageTagMutability")?.unwrap_or(default).to_owned();
    let mut exclusions = Vec::new();
    for filter in list(input, "imageTagMutabilityExclusionFilters") {
        let pattern = filter.get("filter").and_then(Value::as_str).unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._*-".contains(&byte);
        if pattern.is_empty() || pattern.len() > 128 || !pattern.bytes().all(allowed) {
            return Err(invalid("Invalid parameter at 'imageTagMutabilityExclusionFilters'"));
        }
        exclusions.push(pattern.to_owned());
    }
    let fits = match mutability.as_str() {
        "MUTABLE" | "IMMUTABLE" => exclusions.is_empty(),
        "MUTABLE_WITH_EXCLUSION" | "IMMUTABLE_WITH_EXCLUSION" => (1..=5).contains(&exclusions.len()),
        _ => false,
    };
    if fits {
        Ok((mutability, exclusions))
    } else {
        Err(invalid("Invalid parameter at 'imageTagMutability'"))
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` between slashes (Amazon ECR API reference, `CreateRepository`).
fn is_repository_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        let ends =
            bytes.first().copied().is_some_and(is_plain) && bytes.last().copied().is_some_and(is_plain);
        let mut separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        ends && separators
            .all(|found| matches!(found, "" | "." | "_" | "__") || found.bytes().all(|b| b == b'-'))
    };
    (2..=256).contains(&name.len()) && name.split('/').all(is_part)
}
