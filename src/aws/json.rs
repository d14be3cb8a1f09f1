//! One client for any service of AWS of which a call or two are needed: the SDK's own credentials, signatures, timeouts and
//! connections, and JSON in and out, whatever the service itself speaks.

use std::fmt;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use aws_types::service_config::ServiceConfigKey;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::form_urlencoded;

use super::clock::AwsClock;
use super::error::{self, CallError};
use super::query;
use crate::model::AccountId;

/// A service, as its model names it (botocore's `service-2.json` and endpoint rules).
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    /// `serviceId`; the name of `AWS_ENDPOINT_URL_…` and of a profile's `services` section comes from it.
    pub id: &'static str,
    /// The first part of the host, and the name in the signature.
    pub host: &'static str,
    pub protocol: Protocol,
}

/// What a service speaks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    /// AWS JSON, with the model's `jsonVersion` and `targetPrefix`.
    Json { version: &'static str, target: &'static str },
    /// AWS query, with the model's `apiVersion`, and its members that are maps of names and values.
    Query { version: &'static str, maps: &'static [&'static str] },
    /// AWS EC2 query, with the model's `apiVersion`. Members are named as they are sent.
    Ec2 { version: &'static str },
    /// AWS restJson1, with the places of its operations.
    Rest(&'static [Route]),
}

/// Where an operation of a REST API is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub operation: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    /// The member that stands behind the path.
    pub name: &'static str,
    /// What stands behind that.
    pub behind: &'static str,
    /// Members that stand in the query, and what they are called there. The rest is the body, unless it is a GET.
    pub query: &'static [(&'static str, &'static str)],
}

type Call = Operation<Request, Value, Refusal>;

/// An operation of the service and its input.
type Request = (&'static str, Value);

/// The service in one region.
pub(super) struct JsonClient {
    /// Without region or credentials in the settings there is nobody to call.
    call: Result<Call, &'static str>,
}

impl JsonClient {
    pub fn new(settings: &SdkConfig, service: Service, clock: &AwsClock) -> Self {
        Self { call: operation(settings, service, clock) }
    }

    pub async fn call(&self, name: &'static str, input: Value) -> Result<Value, CallError> {
        let call = self.call.as_ref().map_err(|why| CallError::Unsent((*why).to_owned()))?;
        call.invoke((name, input)).await.map_err(|error: SdkError<Refusal, _>| error::of_sdk(&error))
    }
}

fn operation(settings: &SdkConfig, service: Service, clock: &AwsClock) -> Result<Call, &'static str> {
    let region = settings.region().cloned().ok_or("no AWS region is set")?;
    let credentials = settings.credentials_provider().ok_or("no AWS credentials are set")?;
    let mut layer = Layer::new("service");
    layer.store_put(SigningName::from_static(service.host));
    let signed_for = global_home(service.host, region.as_ref())
        .map_or_else(|| region.clone(), |(_, home)| aws_types::region::Region::from_static(home));
    layer.store_put(SigningRegion::from(signed_for));
    layer.store_put(region.clone());
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(ApiMetadata::new(service.host, env!("CARGO_PKG_VERSION")));
    let mut signing_options = SigningOptions::default();
    signing_options.double_uri_encode = true;
    signing_options.normalize_uri_path = true;
    layer.store_put(SigV4OperationSigningConfig { signing_options, ..Default::default() });

    let mut components = RuntimeComponentsBuilder::new("service");
    components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
    let schemes = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
    components.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(schemes)));
    components.set_identity_cache(settings.identity_cache());
    components.set_identity_resolver(SCHEME_ID, credentials);
    components.push_interceptor(UserAgentInterceptor::new());
    components.push_interceptor(clock.clone());

    let mut builder = Operation::builder()
        .service_name(service.id)
        .operation_name("call")
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint(settings, service, region.as_ref()))
        .no_retry()
        .with_connection_poisoning()
        .runtime_plugin(
            StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components),
        );
    if let Some(client) = settings.http_client() {
        builder = builder.http_client(client);
    }
    if let Some(sleep) = settings.sleep_impl() {
        builder = builder.sleep_impl(sleep);
    }
    if let Some(time) = settings.time_source() {
        builder = builder.time_source(time);
    }
    if let Some(timeouts) = settings.timeout_config() {
        builder = builder.timeout_config(timeouts.clone());
    }
    Ok(builder
        .serializer(move |request: Request| serialise(service.protocol, &request))
        .deserializer(move |response| deserialise(service.protocol, response))
        .build())
}

fn serialise(protocol: Protocol, (name, input): &Request) -> Result<HttpRequest, BoxError> {
    let body = match protocol {
        Protocol::Json { .. } => serde_json::to_vec(input)?,
        Protocol::Query { version, maps } => query::form(name, version, maps, input).into_bytes(),
        Protocol::Ec2 { version } => query::ec2_form(name, version, input).into_bytes(),
        Protocol::Rest(routes) => return rest(routes, name, input),
    };
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST")?;
    request.set_uri("/")?;
    let headers = request.headers_mut();
    match protocol {
        Protocol::Json { version, target } => {
            headers.insert("content-type", format!("application/x-amz-json-{version}"));
            headers.insert("x-amz-target", format!("{target}.{name}"));
        }
        Protocol::Query { .. } | Protocol::Ec2 { .. } => {
            headers.insert("content-type", "application/x-www-form-urlencoded");
        }
        Protocol::Rest(_) => {}
    }
    Ok(request)
}

/// Smithy, "AWS restJson1 protocol".
fn rest(routes: &[Route], operation: &str, input: &Value) -> Result<HttpRequest, BoxError> {
    let route = routes.iter().find(|route| route.operation == operation);
    let route = route.ok_or_else(|| format!("no client has the operation {operation}"))?;
    let mut members = input.as_object().cloned().unwrap_or_default();
    let mut text = |key: &str| match members.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let name = text(route.name).ok_or_else(|| format!("{operation} names nothing"))?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (member, called) in route.query {
        if let Some(text) = text(member) {
            query.append_pair(called, &text);
        }
    }
    let (path, query) = (utf8_percent_encode(&name, RESERVED), query.finish());
    let uri =
        format!("{}{path}{}{}{query}", route.path, route.behind, if query.is_empty() { "" } else { "?" });
    let body = if route.method == "GET" { Vec::new() } else { serde_json::to_vec(&members)? };
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method(route.method)?;
    request.set_uri(uri)?;
    if route.method != "GET" {
        request.headers_mut().insert("content-type", "application/json");
    }
    Ok(request)
}

/// What a part of a path cannot hold as it is: all but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn deserialise(protocol: Protocol, response: &HttpResponse) -> Result<Value, OrchestratorError<Refusal>> {
    match protocol {
        Protocol::Json { .. } | Protocol::Rest(_) => of_json(response),
        Protocol::Query { .. } => of_xml(response, query::answer),
        Protocol::Ec2 { .. } => of_xml(response, query::ec2_answer),
    }
}

fn of_xml(
    response: &HttpResponse,
    answer: fn(&str) -> Option<Value>,
) -> Result<Value, OrchestratorError<Refusal>> {
    let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
    if response.status().is_success() {
        return answer(&body)
            .ok_or_else(|| OrchestratorError::operation(Refusal::without_code("the answer held no XML")));
    }
    Err(OrchestratorError::operation(match query::refusal(&body) {
        Some((code, message)) => Refusal(ErrorMetadata::builder().code(code).message(message).build()),
        None => Refusal::without_code("no message"),
    }))
}

fn of_json(response: &HttpResponse) -> Result<Value, OrchestratorError<Refusal>> {
    let body = serde_json::from_slice(response.body().bytes().unwrap_or_default());
    if response.status().is_success() {
        return body
            .map_err(|_| OrchestratorError::operation(Refusal::without_code("the answer held no JSON")));
    }
    let header = response.headers().get("x-amzn-errortype");
    Err(OrchestratorError::operation(Refusal::of(&body.unwrap_or(Value::Null), header)))
}

/// What a service answers instead of a result (smithy, "AWS JSON 1.1 protocol", operation error serialization).
#[derive(Debug)]
pub(super) struct Refusal(ErrorMetadata);

impl Refusal {
    /// The code may stand behind a namespace, and have a URL behind it in the header.
    fn of(body: &Value, header: Option<&str>) -> Self {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let mut metadata = ErrorMetadata::builder();
        if let Some(code) = header.or_else(|| text("__type")).or_else(|| text("code")) {
            let code = code.split(':').next().unwrap_or(code);
            metadata = metadata.code(code.rsplit('#').next().unwrap_or(code));
        }
        let message = text("message").or_else(|| text("Message")).unwrap_or("no message");
        Self(metadata.message(message).build())
    }

    fn without_code(message: &str) -> Self {
        Self(ErrorMetadata::builder().message(message).build())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

/// Where the settings say that the service is; `None`: where AWS has it.
pub(super) fn set_endpoint(settings: &SdkConfig, service_id: &str) -> Option<String> {
    let set = settings.endpoint_url().map(str::to_owned);
    if settings.get_origin("endpoint_url").is_client_config() {
        return set;
    }
    let key =
        ServiceConfigKey::builder().service_id(service_id).env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let own = key.build().ok().and_then(|key| settings.service_config()?.load_config(key));
    own.or(set)
}

/// Where the service is: as the settings say for it or for all services, else where AWS has it.
fn endpoint(settings: &SdkConfig, service: Service, region: &str) -> String {
    let variant = Variant {
        fips: settings.use_fips().unwrap_or_default(),
        dual_stack: settings.use_dual_stack().unwrap_or_default(),
    };
    set_endpoint(settings, service.id)
        .unwrap_or_else(|| format!("https://{}", host(service.host, region, variant)))
}

/// Which of a service's endpoints is asked for.
#[derive(Clone, Copy, Default)]
struct Variant {
    fips: bool,
    dual_stack: bool,
}

/// Beginnings of the regions' names, with the names' endings of either kind of endpoint; regions that are not known are
/// AWS's own (botocore's `partitions.json`).
const PARTITIONS: [(&str, &str, &str); 7] = [
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("", "amazonaws.com", "api.aws"),
];

/// How the names of hosts of a region end, without and with IPv6.
fn suffixes(region: &str) -> (&'static str, &'static str) {
    let partition = PARTITIONS.iter().find(|(beginning, ..)| region.starts_with(beginning));
    partition.map_or(("amazonaws.com", "api.aws"), |(_, suffix, dual_stack)| (*suffix, *dual_stack))
}

/// Where the images of a registry are pulled from.
pub(super) fn registry_host(account: &AccountId, region: &str) -> String {
    format!("{account}.dkr.ecr.{region}.{}", suffixes(region).0)
}

/// AWS IAM is one for all regions of a partition: its host, and the region that is signed for (its endpoint rules, botocore). By the
/// beginnings of the regions' names.
const IAM: [(&str, &str, &str); 8] = [
    ("cn-", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("us-gov-", "iam.us-gov.amazonaws.com", "us-gov-west-1"),
    ("eusc-", "iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ("us-iso-", "iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
    ("us-isob-", "iam.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
    ("eu-isoe-", "iam.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"),
    ("us-isof-", "iam.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"),
    ("", "iam.amazonaws.com", "us-east-1"),
];

/// Host and region of a service that is one for many regions.
fn global_home(name: &str, region: &str) -> Option<(&'static str, &'static str)> {
    let mut homes = IAM.iter().filter(|_| name == "iam");
    homes.find(|(beginning, ..)| region.starts_with(beginning)).map(|(_, host, home)| (*host, *home))
}

fn host(name: &str, region: &str, variant: Variant) -> String {
    if let Some((host, _)) = global_home(name, region) {
        return host.to_owned();
    }
    let (suffix, dual_stack) = suffixes(region);
    let suffix = if variant.dual_stack { dual_stack } else { suffix };
    // Every endpoint of this service in GovCloud is a FIPS endpoint (its endpoint rules).
    let plain = name == "application-autoscaling" && region.starts_with("us-gov-") && !variant.dual_stack;
    let fips = if variant.fips && !plain { "-fips" } else { "" };
    format!("{name}{fips}.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_called_where_its_region_has_it() {
        let fips = Variant { fips: true, dual_stack: false };
        let dual = Variant { fips: false, dual_stack: true };
        for (name, region, variant, expected) in [
            ("tagging", "eu-west-2", Variant::default(), "tagging.eu-west-2.amazonaws.com"),
            ("tagging", "cn-north-1", Variant::default(), "tagging.cn-north-1.amazonaws.com.cn"),
            ("tagging", "us-iso-east-1", Variant::default(), "tagging.us-iso-east-1.c2s.ic.gov"),
            ("tagging", "us-gov-west-1", fips, "tagging-fips.us-gov-west-1.amazonaws.com"),
            ("iam", "eu-west-2", Variant::default(), "iam.amazonaws.com"),
            ("iam", "cn-northwest-1", Variant::default(), "iam.cn-north-1.amazonaws.com.cn"),
            ("iam", "us-gov-east-1", Variant::default(), "iam.us-gov.amazonaws.com"),
            ("iam", "us-isob-west-1", Variant::default(), "iam.us-isob-east-1.sc2s.sgov.gov"),
            ("tagging", "eu-west-2", dual, "tagging.eu-west-2.api.aws"),
            ("tagging", "eusc-de-east-1", dual, "tagging.eusc-de-east-1.api.amazonwebservices.eu"),
            (
                "application-autoscaling",
                "us-gov-west-1",
                fips,
                "application-autoscaling.us-gov-west-1.amazonaws.com",
            ),
        ] {
            assert_eq!(host(name, region, variant), expected);
        }
        // One for all regions is signed for where it is.
        let signed_for = |name, region| global_home(name, region).map(|(_, home)| home);
        assert_eq!(signed_for("iam", "eu-west-2"), Some("us-east-1"));
        assert_eq!(signed_for("iam", "us-gov-east-1"), Some("us-gov-west-1"));
        assert_eq!(signed_for("tagging", "eu-west-2"), None);
    }

    #[test]
    fn a_rest_operation_has_its_name_in_the_path_and_the_rest_in_query_or_body() {
        let routes = [
            Route {
                operation: "Get",
                method: "GET",
                path: "/s/",
                name: "Name",
                behind: "",
                query: &[("Group", "group")],
            },
            Route {
                operation: "Put",
                method: "PUT",
                path: "/s/",
                name: "Name",
                behind: "/behind",
                query: &[],
            },
        ];
        let input = json!({"Name": "a b/ü", "Group": "x&y"});
        let body = |request: &HttpRequest| request.body().bytes().map(<[u8]>::to_vec);
        let get = rest(&routes, "Get", &input).unwrap();
        assert_eq!((get.method(), get.uri()), ("GET", "/s/a%20b%2F%C3%BC?group=x%26y"));
        assert_eq!(body(&get), Some(Vec::new()));
        let put = rest(&routes, "Put", &input).unwrap();
        assert_eq!((put.method(), put.uri()), ("PUT", "/s/a%20b%2F%C3%BC/behind"));
        assert_eq!(body(&put), Some(br#"{"Group":"x&y"}"#.to_vec()));
        assert!(
            rest(&routes, "Put", &json!({"Group": "x"})).is_err(),
            "an empty path is another operation's"
        );
        assert!(rest(&routes, "Delete", &input).is_err());
    }

    #[test]
    fn the_code_of_a_refusal_is_found_wherever_a_service_puts_it() {
        for (body, header, expected) in [
            (json!({"__type": "ThrottledException", "message": "m"}), None, "ThrottledException"),
            (
                json!({"__type": "com.amazon.x#ThrottledException", "Message": "m"}),
                None,
                "ThrottledException",
            ),
            (json!({"message": "m"}), Some("ThrottledException:http://x/"), "ThrottledException"),
            (json!({"code": "ThrottledException", "message": "m"}), None, "ThrottledException"),
        ] {
            let refusal = Refusal::of(&body, header);
            assert_eq!(
                (refusal.meta().code(), refusal.meta().message()),
                (Some(expected), Some("m")),
                "{body}"
            );
        }
        assert_eq!(Refusal::of(&Value::Null, None).meta().code(), None);
    }
}
