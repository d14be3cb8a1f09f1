//! Several accounts and regions: each pair is a world of its own, and which one a call meets is told by what it is signed
//! with. Signatures themselves are not looked at.

mod access;
mod sts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::limits::Rates;
use crate::world::{Answer, Api, AwsError, Principal, Shelf, World};
use access::Access;

pub use access::Role;

/// Worlds of one cloud: as many regions as AWS has, for a handful of accounts.
const MOST_WORLDS: usize = 128;

/// An account and a region.
type Place = (String, String);

/// What a request says of who has signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub access_key: String,
    /// Of temporary credentials.
    pub token: Option<String>,
    /// Of the credential scope.
    pub region: String,
}

/// All that one simulated AWS holds.
#[derive(Debug)]
pub struct Cloud {
    home: Place,
    worlds: BTreeMap<Place, Arc<Mutex<World>>>,
    access: Access,
}

impl Cloud {
    /// A cloud that begins with this world. It is met by calls that are not signed, and by keys that nobody handed out.
    pub fn around(home: Arc<Mutex<World>>) -> Self {
        let place = {
            let world = locked(&home);
            (world.account().to_owned(), world.region().to_owned())
        };
        let worlds = BTreeMap::from([(place.clone(), home)]);
        Self { home: place, worlds, access: Access::default() }
    }

    /// The world of an account and region; empty, if nobody has been there before. `None`: there is no such region, or
    /// there are too many worlds.
    pub fn world(&mut self, account: &str, region: &str) -> Option<Arc<Mutex<World>>> {
        let place = (account.to_owned(), region.to_owned());
        if !self.worlds.contains_key(&place) {
            if !is_region(region) || self.worlds.len() >= MOST_WORLDS {
                return None;
            }
            let world = locked(&self.home()).elsewhere(account, region);
            self.worlds.insert(place.clone(), Arc::new(Mutex::new(world)));
        }
        self.worlds.get(&place).map(Arc::clone)
    }

    /// The world that the cloud began with.
    pub fn home(&self) -> Arc<Mutex<World>> {
        match self.worlds.get(&self.home) {
            Some(world) => Arc::clone(world),
            // Nobody takes it away.
            None => Arc::new(Mutex::new(World::new(&self.home.0, &self.home.1))),
        }
    }

    /// From now on there is this role; one of the same name is replaced.
    pub fn create_role(&mut self, role: Role) {
        self.access.create_role(role);
    }

    /// Whether there was such a role. Its sessions go on: their credentials are good until they expire.
    pub fn delete_role(&mut self, account: &str, name: &str) -> bool {
        self.access.delete_role(account, name)
    }

    /// Whether the account has enabled the region. All are, unless one is disabled here.
    pub fn set_region(&mut self, account: &str, region: &str, enabled: bool) {
        self.access.set_region(account, region, enabled);
    }

    /// From now on calls are taken no faster than this, in every account and region.
    pub fn set_rates(&mut self, rates: Rates) {
        for world in self.worlds.values() {
            locked(world).set_rates(rates);
        }
    }

    /// Lets time pass everywhere.
    pub fn advance(&mut self, seconds: u64) {
        self.advance_millis(seconds.saturating_mul(1000));
    }

    /// The same.
    pub fn advance_millis(&mut self, millis: u64) {
        self.look_around();
        locked(&self.home()).advance_millis(millis);
        self.follow();
    }

    /// What tasks may pull from other accounts and regions is what is there now.
    fn look_around(&self) {
        if self.worlds.len() == 1 {
            return;
        }
        let shelves: Vec<(&Place, Shelf)> =
            self.worlds.iter().map(|(place, world)| (place, locked(world).shelf())).collect();
        for (place, world) in &self.worlds {
            let others = shelves.iter().filter(|(other, _)| *other != place);
            locked(world).look_around(others.map(|(_, shelf)| shelf.clone()).collect());
        }
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        locked(&self.home()).now()
    }

    /// There is one time, that of the first world.
    fn follow(&self) {
        let time = locked(&self.home()).time();
        for (place, world) in &self.worlds {
            if *place != self.home {
                locked(world).follow(time);
            }
        }
    }

    /// One call of an API; without a signature by somebody of the first account, in the first region.
    pub fn call(
        &mut self,
        signature: Option<&Signature>,
        api: Api,
        operation: &str,
        input: &Value,
    ) -> Answer {
        self.look_around();
        self.follow();
        let Some(signature) = signature else {
            return locked(&self.home()).call(api, operation, input);
        };
        let now = self.now();
        let principal = self.access.principal(signature, &self.home.0, now).map_err(|why| why.told(api))?;
        if !self.access.is_enabled(&principal.account, &signature.region) && operation != "AssumeRole" {
            return Err(access::Unknown::Token.told(api));
        }
        let (account, region) = (&principal.account, &signature.region);
        let own = self.world(account, region).ok_or_else(|| no_region(api, region))?;
        if (api, operation) == (Api::Sts, "AssumeRole") {
            return self.assume_role(&own, &principal, region, input);
        }
        let owner = self.registry(api, input, region).unwrap_or(own);
        locked(&owner).call_as(&principal, api, operation, input)
    }

    /// Where the registry is that a call of ECR names, if somebody has been there: rates and faults are those of its account.
    fn registry(&self, api: Api, input: &Value, region: &str) -> Option<Arc<Mutex<World>>> {
        let account = input.get("registryId").and_then(Value::as_str).filter(|_| api == Api::Ecr)?;
        self.worlds.get(&(account.to_owned(), region.to_owned())).map(Arc::clone)
    }

    /// The call counts, is limited and meets faults where it is made; what it does concerns the whole cloud.
    fn assume_role(
        &mut self,
        own: &Mutex<World>,
        principal: &Principal,
        region: &str,
        input: &Value,
    ) -> Answer {
        let now = self.now();
        let access = &mut self.access;
        locked(own).call_by(principal, Api::Sts, "AssumeRole", input, |input| {
            sts::assume_role(access, principal, region, input, now)
        })
    }

    /// What a client gets at an address that `GetDownloadUrlForLayer` has answered, whoever's layer it is.
    pub fn download(&self, url: &str) -> Option<Vec<u8>> {
        self.worlds.values().find_map(|world| locked(world).download(url).map(<[u8]>::to_vec))
    }
}

pub(crate) fn locked(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As the names of AWS's regions are made, such as `us-gov-west-1`.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let Some((number, words)) = parts.split_last() else { return false };
    (2..=4).contains(&words.len())
        && name.len() <= 32
        && words.iter().all(is_word)
        && number.len() == 1
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// AWS Signature Version 4, "Troubleshooting", credential scope.
fn no_region(api: Api, region: &str) -> AwsError {
    let message = format!("Credential should be scoped to a valid region, not '{region}'.");
    access::in_words_of(api, ("InvalidSignatureException", "SignatureDoesNotMatch"), message)
}
