//! Tags of clusters, services and task definitions (Amazon ECS API reference: `TagResource`, `UntagResource`,
//! `ListTagsForResource`). Changing a tag starts no deployment.

use serde_json::json;

use crate::world::input::{
    Input, Tags, described_tags, invalid, last_part, tags_of, text, texts, within_tag_limit,
};
use crate::world::{Answer, AwsError, World};

impl World {
    pub(super) fn tag_resource(&mut self, input: &Input) -> Answer {
        let given = tags_of(input)?;
        let arn = text(input, "resourceArn")?;
        let tags = self.tags_mut(arn)?;
        let before = tags.clone();
        let mut merged = before.clone();
        merged.extend(given);
        within_tag_limit(&merged)?;
        *tags = merged;
        self.index_lags(arn, Some(before));
        Ok(json!({}))
    }

    pub(super) fn untag_resource(&mut self, input: &Input) -> Answer {
        let arn = text(input, "resourceArn")?;
        let tags = self.tags_mut(arn)?;
        let before = tags.clone();
        for key in texts(input, "tagKeys") {
            tags.remove(key);
        }
        self.index_lags(arn, Some(before));
        Ok(json!({}))
    }

    pub(super) fn list_tags_for_resource(&mut self, input: &Input) -> Answer {
        let tags = self.tags_mut(text(input, "resourceArn")?)?;
        Ok(json!({"tags": described_tags(tags)}))
    }

    fn tags_mut(&mut self, arn: &str) -> Result<&mut Tags, AwsError> {
        let missing = || invalid("The specified resource was not found.");
        let prefix = self.arn("ecs", "");
        let resource = arn.strip_prefix(&prefix).ok_or_else(|| invalid("Invalid ARN."))?;
        let (kind, path) = resource.split_once('/').ok_or_else(missing)?;
        let tags = match (kind, path.split_once('/')) {
            ("cluster", None) => self.clusters.get_mut(path).map(|cluster| &mut cluster.tags),
            ("service", Some((cluster, name))) => {
                let service = self.services.get_mut(&(cluster.to_owned(), name.to_owned()));
                service.filter(|service| service.is_active()).map(|service| &mut service.tags)
            }
            ("task-definition", None) => self.definition_mut(last_part(path)).map(|found| &mut found.tags),
            _ => None,
        };
        tags.ok_or_else(missing)
    }
}
