//! Temporary credentials of a role in another account, by `AssumeRole` of STS. There is one session for each account, whatever its
//! regions; it is renewed before it ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use serde_json::{Value, json};

use super::answer;
use super::caller::{Api, Caller};
use super::error::{self, CallError};
use crate::accounts::{Accounts, Role};
use crate::model::{AccountId, Millis, Region};
use crate::ports::Clock;
use crate::secret::Secret;

/// As `CloudTrail` and AWS's messages name it, so that people there see whose session it is.
const NAME: &str = "trueup";
/// An hour: every role allows it, also to a session that assumes another role (IAM user guide, "Role chaining").
const SECONDS: u32 = 3600;
/// How long before its end a session is renewed, in milliseconds: STS may be away for a while.
const BEFORE_END: Millis = 600_000;
/// How long a refusal is good, in milliseconds: one question answers for all services of the account.
const REFUSED: Millis = 20_000;

/// Temporary credentials.
#[derive(Clone)]
pub struct RoleCredentials {
    pub access_key: String,
    pub secret_key: String,
    pub token: String,
    expires: Millis,
}

impl std::fmt::Debug for RoleCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoleCredentials(…)")
    }
}

/// The session of one role.
pub struct Session {
    /// Makes calls by the credentials that may assume it.
    hub: Arc<dyn Caller>,
    role: String,
    external_id: Option<Secret>,
    clock: Arc<dyn Clock>,
    /// Whoever finds it at its end renews it; the others wait for that.
    kept: tokio::sync::Mutex<CachedSession>,
}

#[derive(Default)]
struct CachedSession {
    credentials: Option<RoleCredentials>,
    /// Why there are no newer ones, and until when nobody asks again.
    refused: Option<(CallError, Millis)>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("role", &self.role).finish_non_exhaustive()
    }
}

impl Session {
    fn new(hub: &Arc<dyn Caller>, clock: &Arc<dyn Clock>, role: String, external_id: Option<Secret>) -> Self {
        let kept = tokio::sync::Mutex::default();
        Self { hub: Arc::clone(hub), role, external_id, clock: Arc::clone(clock), kept }
    }

    /// Credentials that are good for a while. While they cannot be renewed, the old ones are used to their end.
    pub async fn credentials(&self) -> Result<RoleCredentials, CallError> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        let left = kept.credentials.as_ref().map_or(0, |credentials| credentials.expires - now);
        if left > BEFORE_END {
            return kept.credentials.clone().ok_or_else(none);
        }
        // A clock that was set back must not keep a refusal for ever.
        let waits = kept.refused.as_ref().is_some_and(|(_, until)| (0..=REFUSED).contains(&(until - now)));
        if !waits {
            match self.assume().await {
                Ok(credentials) => *kept = CachedSession { credentials: Some(credentials), refused: None },
                Err(why) => kept.refused = Some((why, self.clock.now() + REFUSED)),
            }
        }
        match (&kept.credentials, &kept.refused) {
            (Some(credentials), _) if credentials.expires > self.clock.now() => Ok(credentials.clone()),
            (_, Some((why, _))) => Err(why.clone()),
            _ => Err(none()),
        }
    }

    /// AWS says that these have ended, whatever the clock says.
    async fn has_ended(&self, ended: &RoleCredentials) {
        let mut kept = self.kept.lock().await;
        if kept.credentials.as_ref().is_some_and(|credentials| credentials.token == ended.token) {
            kept.credentials = None;
        }
    }

    async fn assume(&self) -> Result<RoleCredentials, CallError> {
        let mut input = json!({"RoleArn": self.role, "RoleSessionName": NAME, "DurationSeconds": SECONDS});
        if let Some(secret) = &self.external_id {
            let unread =
                |error| self.failed(CallError::Unsigned(format!("its external id cannot be read: {error}")));
            input["ExternalId"] = json!(secret.read().map_err(unread)?);
        }
        let answer = self.hub.call(Api::Sts, "AssumeRole", input).await.map_err(|why| self.failed(why))?;
        credentials(&answer).ok_or_else(none)
    }

    fn failed(&self, why: CallError) -> CallError {
        CallError::NoSession { role: self.role.clone(), why: Box::new(why) }
    }
}

fn none() -> CallError {
    CallError::Unsent("STS answered AssumeRole without credentials".to_owned())
}

fn credentials(answer: &Value) -> Option<RoleCredentials> {
    let given = answer.get("Credentials")?;
    Some(RoleCredentials {
        access_key: answer::text(given, "AccessKeyId")?.to_owned(),
        secret_key: answer::text(given, "SecretAccessKey")?.to_owned(),
        token: answer::text(given, "SessionToken")?.to_owned(),
        expires: answer::text(given, "Expiration")?.parse::<jiff::Timestamp>().ok()?.as_millisecond(),
    })
}

/// The sessions of one process.
pub struct Sessions {
    accounts: Accounts,
    hub: Arc<dyn Caller>,
    clock: Arc<dyn Clock>,
    begun: Mutex<BTreeMap<AccountId, Arc<Session>>>,
}

impl Sessions {
    /// `hub`: makes calls by the credentials that may assume the roles.
    pub fn new(accounts: Accounts, hub: Arc<dyn Caller>, clock: Arc<dyn Clock>) -> Self {
        Self { accounts, hub, clock, begun: Mutex::default() }
    }

    /// `None`: the account is reached by the credentials themselves.
    pub fn of(&self, account: &AccountId) -> Option<Arc<Session>> {
        let Role { name, external_id } = self.accounts.role(account)?;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            let role = name.arn(account, self.hub.region().as_ref());
            Arc::new(Session::new(&self.hub, &self.clock, role, external_id.clone()))
        };
        Some(Arc::clone(begun.entry(account.clone()).or_insert_with(begin)))
    }
}

/// Makes calls in a session. Without one there is no call.
pub struct InSession {
    session: Arc<Session>,
    inner: Arc<dyn Caller>,
}

impl InSession {
    /// `inner`: makes calls by the credentials of the session.
    pub fn new(session: Arc<Session>, inner: Arc<dyn Caller>) -> Self {
        Self { session, inner }
    }
}

fn is_expired(error: &CallError) -> bool {
    let CallError::Refused { code: Some(code), .. } = error else { return false };
    ["ExpiredToken", "ExpiredTokenException"].contains(&code.as_str())
}

#[async_trait]
impl Caller for InSession {
    /// A call with credentials that have ended has no effect, a write neither: it is made once more.
    async fn call(&self, api: Api, operation: &'static str, input: Value) -> Result<Value, CallError> {
        let credentials = self.session.credentials().await?;
        match self.inner.call(api, operation, input.clone()).await {
            Err(error) if is_expired(&error) => {
                self.session.has_ended(&credentials).await;
                self.session.credentials().await?;
                self.inner.call(api, operation, input).await
            }
            answer => answer,
        }
    }

    async fn download(&self, address: &str) -> Option<Vec<u8>> {
        self.inner.download(address).await
    }

    fn can_download(&self) -> bool {
        self.inner.can_download()
    }

    fn region(&self) -> Option<Region> {
        self.inner.region()
    }

    fn linger(&self) -> Duration {
        self.inner.linger()
    }

    async fn turn(&self, operation: &'static str) {
        self.inner.turn(operation).await;
    }
}

/// The session as the SDK's source of credentials.
#[derive(Debug)]
pub(super) struct SessionCredentials(pub Arc<Session>);

impl ProvideCredentials for SessionCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let failed = |why| CredentialsError::provider_error(error::meaning(why));
            let RoleCredentials { access_key, secret_key, token, .. } =
                self.0.credentials().await.map_err(failed)?;
            Ok(Credentials::new(access_key, secret_key, Some(token), None, NAME))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use futures::future::join_all;

    use super::*;
    use crate::accounts::RoleName;

    const SPOKE: &str = "210987654321";
    const HOUR: Millis = 3_600_000;

    /// An STS whose answers are good for an hour, or which refuses; and an API that says so often that the credentials
    /// have ended.
    #[derive(Default)]
    struct Aws {
        now: AtomicI64,
        refuses: Mutex<Option<CallError>>,
        expired: AtomicI64,
        assumed: Mutex<Vec<Value>>,
        called: AtomicI64,
    }

    impl Clock for Aws {
        fn now(&self) -> Millis {
            self.now.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl Caller for Aws {
        async fn call(&self, _: Api, operation: &'static str, input: Value) -> Result<Value, CallError> {
            if operation != "AssumeRole" {
                self.called.fetch_add(1, Ordering::SeqCst);
                let refused = self.expired.fetch_sub(1, Ordering::SeqCst) > 0;
                return if refused { Err(refusal("ExpiredTokenException")) } else { Ok(json!({})) };
            }
            tokio::task::yield_now().await;
            let mut assumed = self.assumed.lock().unwrap();
            assumed.push(input);
            if let Some(why) = &*self.refuses.lock().unwrap() {
                return Err(why.clone());
            }
            let expires = jiff::Timestamp::from_millisecond(self.now() + HOUR).unwrap();
            Ok(json!({"Credentials": {"AccessKeyId": "ASIA", "SecretAccessKey": "secret",
                "SessionToken": assumed.len().to_string(), "Expiration": expires.to_string()}}))
        }

        async fn download(&self, _: &str) -> Option<Vec<u8>> {
            None
        }

        fn can_download(&self) -> bool {
            false
        }

        fn region(&self) -> Option<Region> {
            Some(Region::new("eu-west-2"))
        }
    }

    fn refusal(code: &str) -> CallError {
        CallError::Refused { code: Some(code.to_owned()), message: Some("no".to_owned()) }
    }

    fn session(external_id: Option<Secret>) -> (Arc<Aws>, Arc<Session>) {
        let aws = Arc::new(Aws::default());
        let name = RoleName::Name("trueup".to_owned());
        let role = (AccountId::new(SPOKE), Role { name, external_id });
        let sessions = Sessions::new(Accounts::new([role]), Arc::clone(&aws) as _, Arc::clone(&aws) as _);
        assert!(sessions.of(&AccountId::new("123456789012")).is_none());
        let session = sessions.of(&AccountId::new(SPOKE)).unwrap();
        assert!(Arc::ptr_eq(&session, &sessions.of(&AccountId::new(SPOKE)).unwrap()));
        (aws, session)
    }

    /// The token at this time.
    async fn token(aws: &Aws, session: &Session, now: Millis) -> Result<String, CallError> {
        aws.now.store(now, Ordering::SeqCst);
        session.credentials().await.map(|credentials| credentials.token)
    }

    fn tries(aws: &Aws) -> usize {
        aws.assumed.lock().unwrap().len()
    }

    #[tokio::test]
    async fn one_session_serves_all_who_ask_and_is_renewed_before_its_end() {
        let (aws, session) = session(None);
        let all = join_all((0..50).map(|_| session.credentials())).await;
        assert!(all.iter().all(Result::is_ok) && tries(&aws) == 1);
        let asked = json!({"RoleArn": "arn:aws:iam::210987654321:role/trueup", "RoleSessionName": "trueup",
            "DurationSeconds": 3600});
        assert_eq!(aws.assumed.lock().unwrap()[0], asked);
        assert_eq!(token(&aws, &session, HOUR - BEFORE_END - 1).await.unwrap(), "1");
        assert_eq!(token(&aws, &session, HOUR - BEFORE_END).await.unwrap(), "2");
        assert_eq!(token(&aws, &session, HOUR).await.unwrap(), "2");
    }

    #[tokio::test]
    async fn while_it_cannot_be_renewed_the_old_one_is_used_to_its_end() {
        let (aws, session) = session(None);
        token(&aws, &session, 0).await.unwrap();
        *aws.refuses.lock().unwrap() = Some(refusal("AccessDenied"));
        let late = HOUR - 60_000;
        assert_eq!(token(&aws, &session, late).await.unwrap(), "1");
        assert_eq!((token(&aws, &session, late + REFUSED).await.unwrap(), tries(&aws)), ("1".to_owned(), 2));
        assert_eq!(
            (token(&aws, &session, late + REFUSED + 1).await.unwrap(), tries(&aws)),
            ("1".to_owned(), 3)
        );
        let refused = token(&aws, &session, HOUR).await.unwrap_err();
        let said = error::meaning(refused).to_string();
        let expected =
            "not allowed: the role arn:aws:iam::210987654321:role/trueup cannot be assumed: AccessDenied: no";
        assert_eq!(said, expected);
        *aws.refuses.lock().unwrap() = None;
        assert!(token(&aws, &session, HOUR + 1).await.is_err(), "nobody asks again at once");
        assert!(token(&aws, &session, HOUR + REFUSED + 1).await.is_ok());
    }

    #[tokio::test]
    async fn a_write_without_a_session_was_not_made() {
        for (why, expected) in [
            (CallError::Unanswered("x".to_owned()), "unavailable"),
            (refusal("ServiceUnavailable"), "unavailable"),
            (refusal("Throttling"), "throttled by AWS"),
            (refusal("ValidationError"), "not allowed"),
            (CallError::Unsigned("x".to_owned()), "not allowed"),
        ] {
            let (aws, session) = session(None);
            *aws.refuses.lock().unwrap() = Some(why.clone());
            let caller = InSession::new(session, Arc::clone(&aws) as _);
            let error = caller.call(Api::Ecs, "UpdateService", json!({})).await.unwrap_err();
            let said = error::meaning(error).to_string();
            assert!(said.starts_with(expected), "{why:?}: {said}");
            assert_eq!(aws.called.load(Ordering::SeqCst), 0);
        }
    }

    #[tokio::test]
    async fn a_call_whose_credentials_have_ended_is_made_once_more_with_new_ones() {
        for (expired, calls, assumed, goes_well) in [(0, 1, 1, true), (1, 2, 2, true), (9, 2, 2, false)] {
            let (aws, session) = session(None);
            aws.expired.store(expired, Ordering::SeqCst);
            let caller = InSession::new(session, Arc::clone(&aws) as _);
            let answer = caller.call(Api::Ecs, "UpdateService", json!({})).await;
            let found = (aws.called.load(Ordering::SeqCst), tries(&aws), answer.is_ok());
            assert_eq!(found, (calls, assumed, goes_well), "{expired}");
        }
    }

    #[tokio::test]
    async fn the_external_id_is_read_each_time_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("external-id");
        std::fs::write(&path, "hunter2\n").unwrap();
        let (aws, session) = session(Some(Secret::File(path.clone())));
        token(&aws, &session, 0).await.unwrap();
        std::fs::write(&path, "hunter3").unwrap();
        token(&aws, &session, HOUR).await.unwrap();
        let ids: Vec<Value> =
            aws.assumed.lock().unwrap().iter().map(|input| input["ExternalId"].clone()).collect();
        assert_eq!(ids, ["hunter2", "hunter3"]);
        assert!(!format!("{session:?} {:?}", session.credentials().await).contains("hunter"));
        std::fs::remove_file(&path).unwrap();
        let unread = token(&aws, &session, 3 * HOUR).await.unwrap_err();
        let said = error::meaning(unread).to_string();
        assert!(said.contains("its external id cannot be read"), "{said}");
    }
}
