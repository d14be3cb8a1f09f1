//! What is known as a secret, and what is shown of it.

use super::*;

#[test]
fn a_fingerprint_tells_values_and_places_apart_and_nothing_else() {
    let one = fingerprint("a", "hunter2");
    assert_eq!(one, fingerprint("a", "hunter2"));
    assert_ne!(one, fingerprint("a", "hunter3"));
    assert_ne!(one, fingerprint("b", "hunter2"));
    let plain = hex::encode(<Sha256 as sha2::Digest>::digest("hunter2"));
    assert!(!one.contains(&plain[..8]), "it is keyed");
    assert_ne!(*KEY, [0; 32]);
}

#[test]
fn usual_names_of_secrets_are_known() {
    for name in [
        "DB_PASSWORD",
        "DB_PASS",
        "DBPASS",
        "MYSQL_PWD",
        "PGPASSWORD",
        "REDIS_PASS",
        "PASSPHRASE",
        "passcode",
        "ADMIN_PW",
        "CLIENT_SECRET",
        "clientSecret",
        "SECRET_KEY_BASE",
        "DJANGO_SECRET",
        "API_TOKEN",
        "githubToken",
        "GH_PAT_TOKEN",
        "splunk-token",
        "NPM_TOKEN",
        "REFRESH_TOKEN",
        "JWT",
        "JWT_SIGNING",
        "API_KEY",
        "apiKey",
        "api-key",
        "STRIPE_KEY",
        "STRIPE_SK_KEY",
        "ENCRYPTION_KEY",
        "SSH_KEY",
        "TLS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "accesskey",
        "PRIVATE_KEY",
        "SENTRY_DSN",
        "DSN",
        "DATABASE_URL",
        "DB_URL",
        "REDIS_URL",
        "MONGO_URI",
        "AMQP_URL",
        "CONNECTION_STRING",
        "AZURE_CONN_STR",
        "SLACK_WEBHOOK_URL",
        "webhook",
        "CREDENTIALS",
        "GCP_CREDS",
        "BASIC_AUTH",
        "OAUTH",
        "HTTP_AUTHORIZATION",
        "SESSION_COOKIE",
        "PASSWORD_SALT",
        "TOTP_SEED",
        "OTP",
        "PIN",
        "CLIENT_CERT",
        "SERVER_PEM",
        "KUBECONFIG",
        "NETRC",
        "KEYSTORE",
        "WALLET_MNEMONIC",
    ] {
        assert!(may_name_a_secret(name), "{name}");
    }
    for name in [
        "LOG_LEVEL",
        "PORT",
        "image",
        "cpu",
        "KEY",
        "keys",
        "AUTHOR",
        "monkey",
        "BASE_URL",
        "SHIPPING",
        "commit",
        "PINGS",
    ] {
        assert!(!may_name_a_secret(name), "{name}");
    }
}

#[test]
fn a_value_may_be_a_secret_by_its_name_unless_it_is_none_by_its_look() {
    for (name, value, expected) in [
        ("DB_PASS", "hunter2", true),
        ("JWT", "abc", true),
        ("LEVEL", "{\"password\": \"hunter2\"}", true),
        ("LEVEL", "info", false),
        ("OAUTH", "true", false),
        ("DB_PASS", "", false),
        ("DB_PASS", "${DB_PASS}", false),
        ("DB_PASS", "$ecret", true),
    ] {
        assert_eq!(may_be_a_secret(name, value), expected, "{name} {value}");
    }
}

#[test]
fn an_option_and_its_value_are_two_words_of_a_command() {
    for (words, expected) in [
        (&["serve", "--token", "hunter2"][..], true),
        (&["serve", "--token", "-hunter2"], true),
        (&["curl", "-u", "api:hunter2"], true),
        (&["serve", "--token", "$TOKEN"], false),
        (&["serve", "--auth", "--port", "80"], false),
        (&["serve", "--auth"], false),
        (&[], false),
    ] {
        assert_eq!(may_hold_a_secret_in_words(words), expected, "{words:?}");
    }
}

#[test]
fn usual_looks_of_secrets_are_known() {
    for text in [
        "postgres://u:hunter2@db/x",
        "https://me:p@ss@host",
        "https://me:p/a@host/x",
        "https://0123abcdef@sentry.io/1",
        "amqps://user@broker",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "ghp_0123456789abcdef",
        "Bearer abcdef",
        "Authorization: Basic dXNlcjpwYXNz",
        "--token=abc123",
        "--db-password hunter2",
        "curl -H x https://host/?private_token=abc",
        "Server=x;Password=hunter2;",
        "AKIAIOSFODNN7EXAMPLE",
        "sk_live_51H8abcdefgh",
        "eyJhbGciOiJIUzI1NiJ9.e30.abc",
        "https://hooks.slack.com/services/T0/B0/x",
        "{\"access_token=abc\"}",
        "{\"user\": \"api\", \"password\": \"hunter2\"}",
        "{'db_pass':'hunter2'}",
        "{\\\"password\\\": \\\"hunter2\\\"}",
        "{\"pin\": 12345}",
        "curl -u api:hunter2 https://host/",
        "curl -uapi:hunter2 https://host/",
        "curl --user 'api:hunter2' https://host/",
        "curl --proxy-user api:hunter2 https://host/",
        "wJalrXUtnFEMI7K7MDENGbPxRfiCYEXAMPLEKEY",
    ] {
        assert!(may_hold_a_secret(text), "{text}");
        assert!(!text.contains("hunter2") || !scrubbed(text).contains("hunter2"), "{}", scrubbed(text));
    }
    for text in [
        "",
        "info",
        "node server.js --port 8080",
        "123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:3f2c1ab",
        "repo@sha256:2b6b700ef3942b6b700ef3942b6b700ef3942b6b700ef3942b6b700ef394ef39",
        "arn:aws:secretsmanager:eu-west-2:123456789012:secret:db-AbCdEf",
        "arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
        "ExpiredToken: The security token included in the request is expired",
        "https://example.com/path?x=1",
        "user@example.com",
        "{\"level\": \"info\", \"nextToken\": null, \"secrets\": [], \"auth\": \"true\"}",
        "run -u 1000:1000 serve",
        "curl -u api:$PASSWORD https://host/",
        "serve --token ${TOKEN} --password=$DB_PASSWORD",
    ] {
        assert!(!may_hold_a_secret(text), "{text}");
        assert_eq!(scrubbed(text), text);
    }
}

#[test]
fn free_text_loses_what_looks_like_a_secret_and_keeps_the_rest() {
    for (text, expected) in [
        ("cannot reach postgres://u:p@db now", "cannot reach (hidden) now"),
        ("exec \"--token=abc\": not found", "exec (hidden) not found"),
        ("run --password hunter2 again", "run --password (hidden) again"),
        ("key: -----BEGIN PRIVATE KEY-----\nabc", "key: "),
    ] {
        assert_eq!(scrubbed(text), expected);
    }
}

#[test]
fn a_value_is_hidden_whatever_stands_around_it_and_where_the_text_is_cut_short() {
    for (text, values, expected) in [
        ("exec serve-it: serve", &["serve", "serve-it"][..], "exec (hidden): (hidden)"),
        ("run --token=abc and more: no", &["--token=abc and more"], "run (hidden): no"),
        ("the value hunter2-is-wr", &["hunter2-is-wrong"], "the value (hidden)"),
        ("the value hunte", &["hunter2-is-wrong"], "the value hunte"),
        ("the key is ééé", &["éééé-é"], "the key is (hidden)"),
    ] {
        assert_eq!(without(text, values.iter().copied()), expected);
    }
}
