//! Applications and their revisions (`CodeDeploy` API reference).

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Application, Revision, exception, name, page};
use crate::world::input::{Input, list, optional, texts, with_token};
use crate::world::times::moment;
use crate::world::{Answer, AwsError, World};

impl World {
    pub(super) fn create_application(&mut self, input: &Input) -> Answer {
        let name = name(input, "applicationName", "Application")?.to_owned();
        let platform = optional(input, "computePlatform")?.unwrap_or("Server").to_owned();
        if !["Server", "Lambda", "ECS"].contains(&platform.as_str()) {
            return Err(exception("InvalidComputePlatform", format!("{platform} is no compute platform")));
        }
        if self.code_deploy.applications.contains_key(&name) {
            return Err(exception("ApplicationAlreadyExists", format!("Application already exists: {name}")));
        }
        let id = self.uuid();
        let application = Application {
            id: id.clone(),
            platform,
            created_at: self.now,
            groups: std::collections::BTreeMap::new(),
            revisions: std::collections::BTreeMap::new(),
        };
        self.code_deploy.applications.insert(name, application);
        Ok(json!({"applicationId": id}))
    }

    /// The application that the request names.
    pub(super) fn application<'a>(&self, input: &'a Input) -> Result<(&'a str, &Application), AwsError> {
        let name = name(input, "applicationName", "Application")?;
        let found = self.code_deploy.applications.get(name);
        let missing =
            || exception("ApplicationDoesNotExist", format!("No application found for name: {name}"));
        Ok((name, found.ok_or_else(missing)?))
    }

    pub(super) fn get_application(&mut self, input: &Input) -> Answer {
        let (name, application) = self.application(input)?;
        Ok(json!({"application": described(name, application)}))
    }

    pub(super) fn batch_get_applications(&mut self, input: &Input) -> Answer {
        let found = texts(input, "applicationNames").map(|name| {
            let found = self.code_deploy.applications.get(name);
            found.map(|application| described(name, application)).ok_or_else(|| {
                exception("ApplicationDoesNotExist", format!("No application found for name: {name}"))
            })
        });
        Ok(json!({"applicationsInfo": found.collect::<Result<Vec<_>, _>>()?}))
    }

    pub(super) fn list_applications(&mut self, input: &Input) -> Answer {
        let (names, token) = page(self.code_deploy.applications.keys().cloned().collect(), input)?;
        Ok(with_token(json!({"applications": names}), token))
    }

    pub(super) fn delete_application(&mut self, input: &Input) -> Answer {
        let name = name(input, "applicationName", "Application")?;
        self.code_deploy.applications.remove(name);
        Ok(json!({}))
    }

    pub(super) fn register_application_revision(&mut self, input: &Input) -> Answer {
        let (name, _) = self.application(input)?;
        let (content, sha256) = revision(input.get("revision"))?;
        self.keep_revision(name, &content, &sha256);
        Ok(json!({}))
    }

    /// Keeps the content where it is not kept yet.
    fn keep_revision(&mut self, application: &str, content: &str, sha256: &str) -> Option<&mut Revision> {
        let now = self.now;
        let application = self.code_deploy.applications.get_mut(application)?;
        let kept = application.revisions.entry(sha256.to_owned());
        Some(kept.or_insert_with(|| Revision {
            content: content.to_owned(),
            registered_at: now,
            used_at: None,
        }))
    }

    /// Keeps the content as one that is deployed.
    pub(super) fn use_revision(&mut self, application: &str, content: &str, sha256: &str) {
        let now = self.now;
        if let Some(kept) = self.keep_revision(application, content, sha256) {
            kept.used_at = Some((kept.used_at.map_or(now, |(first, _)| first), now));
        }
    }

    /// The content comes back here, and only here.
    pub(super) fn get_application_revision(&mut self, input: &Input) -> Answer {
        let (name, application) = self.application(input)?;
        let asked = input.get("revision").and_then(|revision| revision.get("appSpecContent"));
        let sha256 = asked.and_then(|content| content.get("sha256")).and_then(Value::as_str);
        let found = sha256.and_then(|sha256| Some((sha256, application.revisions.get(sha256)?)));
        let Some((sha256, kept)) = found else {
            return Err(exception("RevisionDoesNotExist", "The revision does not exist"));
        };
        let groups = application.groups.iter().filter(|(_, group)| group.target.as_deref() == Some(sha256));
        let mut info = json!({
            "description": "Application revision registered by Deployment",
            "registerTime": moment(kept.registered_at),
            "deploymentGroups": groups.map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        });
        if let Some((first, last)) = kept.used_at {
            info["firstUsedTime"] = moment(first);
            info["lastUsedTime"] = moment(last);
        }
        Ok(json!({
            "applicationName": name,
            "revision": {"revisionType": "AppSpecContent",
                "appSpecContent": {"content": kept.content, "sha256": sha256}},
            "revisionInfo": info,
        }))
    }

    pub(super) fn list_application_revisions(&mut self, input: &Input) -> Answer {
        let (_, application) = self.application(input)?;
        let (found, token) = page(application.revisions.keys().cloned().collect(), input)?;
        let found: Vec<Value> = found.iter().map(|sha256| location(sha256)).collect();
        Ok(with_token(json!({"revisions": found}), token))
    }
}

fn described(name: &str, application: &Application) -> Value {
    json!({
        "applicationId": application.id,
        "applicationName": name,
        "createTime": moment(application.created_at),
        "linkedToGitHub": false,
        "computePlatform": application.platform,
    })
}

/// A revision as all other operations show it: without its content.
pub(super) fn location(sha256: &str) -> Value {
    json!({"revisionType": "AppSpecContent", "appSpecContent": {"sha256": sha256}})
}

/// The content of an `AppSpec` file and its SHA-256, which is checked where it is sent.
pub(super) fn revision(sent: Option<&Value>) -> Result<(String, String), AwsError> {
    let Some(sent) = sent.filter(|sent| !sent.is_null()) else {
        return Err(exception("RevisionRequired", "Revision is missing"));
    };
    let part = match sent.get("revisionType").and_then(Value::as_str) {
        Some("AppSpecContent") => sent.get("appSpecContent"),
        Some("String") => sent.get("string"),
        Some("S3" | "GitHub") => {
            return Err(AwsError::client(
                "UnsupportedOperation",
                "revisions in S3 and GitHub are not simulated",
            ));
        }
        _ => None,
    };
    let content = part.and_then(|part| part.get("content")).and_then(Value::as_str);
    let invalid = |why: &str| exception("InvalidRevision", why);
    let content = content.ok_or_else(|| invalid("The revision has no AppSpec content"))?;
    let sha256 = hex::encode(Sha256::digest(content));
    let claimed = part.and_then(|part| part.get("sha256")).and_then(Value::as_str);
    if claimed.is_some_and(|claimed| claimed != sha256) {
        return Err(invalid("The SHA-256 does not match the content"));
    }
    Ok((content.to_owned(), sha256))
}

/// The values of a list in the API's words.
pub(super) fn words(value: Option<&Value>, key: &str) -> Vec<String> {
    let object = value.and_then(Value::as_object);
    object
        .into_iter()
        .flat_map(|object| list(object, key))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
