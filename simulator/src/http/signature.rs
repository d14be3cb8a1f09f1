//! What a request is signed with (AWS Signature Version 4, "Elements of an AWS API request signature"). The signature itself
//! is not looked at.

use axum::http::{HeaderMap, header};

use crate::cloud::Signature;

/// `AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, …`. `None`: the request is not signed like that.
pub(super) fn read(headers: &HeaderMap) -> Option<Signature> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = text(header::AUTHORIZATION)?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let mut parts = signed.split(',').map(str::trim);
    let mut scope = parts.find_map(|part| part.strip_prefix("Credential="))?.split('/');
    let (access_key, _date, region) = (scope.next()?, scope.next()?, scope.next()?);
    Some(Signature {
        access_key: access_key.to_owned(),
        token: text(header::HeaderName::from_static("x-amz-security-token")).map(str::to_owned),
        region: region.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn key_token_and_region_are_read_from_the_headers() {
        let read = |authorization: &str, token: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
            if let Some(token) = token {
                headers.insert("x-amz-security-token", HeaderValue::from_str(token).unwrap());
            }
            read(&headers)
        };
        let signed = "AWS4-HMAC-SHA256 Credential=ASIA1/20260101/us-east-1/ecs/aws4_request, SignedHeaders=host, Signature=0";
        let expected = |token: Option<&str>| {
            Some(Signature {
                access_key: "ASIA1".to_owned(),
                token: token.map(str::to_owned),
                region: "us-east-1".to_owned(),
            })
        };
        assert_eq!(read(signed, None), expected(None));
        assert_eq!(read(signed, Some("token")), expected(Some("token")));
        for other in
            ["", "Bearer x", "AWS4-HMAC-SHA256 SignedHeaders=host", "AWS4-HMAC-SHA256 Credential=x/y"]
        {
            assert_eq!(read(other, None), None, "{other}");
        }
    }
}
