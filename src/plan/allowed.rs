//! Whether the operator lets the repository give away the roles, and take the images, of what would be registered.

use serde_json::Value;

use super::facts::Facts;
use crate::documents::{repositories, roles};
use crate::model::{ImageRepository, Waiting};

impl Facts<'_> {
    /// Where somebody else's revision is the base, its roles are known only now.
    pub(super) fn roles_are_allowed(&self, rendered: &Value) -> Result<(), Waiting> {
        match roles::of_task_definition(rendered).find(|role| !self.allows_role(role)) {
            Some(role) => Err(Waiting::RoleNotAllowed { role: role.to_owned() }),
            None => Ok(()),
        }
    }

    pub(super) fn allows_role(&self, role: &str) -> bool {
        let Some(allowed) = &self.input.desired.allowed_roles else { return true };
        let account = self.input.desired.account.as_ref().or(self.input.observed.account.as_ref().ok());
        allowed.iter().any(|pattern| pattern.matches(role, account))
    }

    /// Where somebody else's revision is the base, its images are known only now.
    pub(super) fn repositories_are_allowed(&self, rendered: &Value) -> Result<(), Waiting> {
        let desired = self.input.desired;
        let own = desired.account.as_ref().or(self.input.observed.account.as_ref().ok());
        let registry = desired.registry.account.as_ref();
        let refused = |one: &ImageRepository<'_>| !desired.allowed_repositories.allows(one, own, registry);
        match repositories::of_task_definition(rendered).find(refused) {
            Some(repository) => Err(Waiting::RepositoryNotAllowed { repository: repository.to_string() }),
            None => Ok(()),
        }
    }
}
