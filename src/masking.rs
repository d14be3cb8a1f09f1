//! What may be a secret, by its name and by its look, and what is shown in its place.
//!
//! Names and looks are a second line: they hide what git declares in plain text, and what AWS says in free text. A value that
//! only AWS knows is hidden whatever it is called (`documents/shown.rs`).

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Shown instead of a declared value that may be a secret.
pub const MASK: &str = "(masked)";
/// Shown instead of a part of a text.
const HIDDEN: &str = "(hidden)";

/// What fingerprints are made with: 256 bits from the system's randomness, other ones in each process, so that nobody can try
/// values against a fingerprint that was printed. `RandomState` is keyed by 128 bits of the system; no other source is in
/// the standard library.
static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut key = [0; 32];
    let states = RandomState::new();
    for (number, part) in (0_u64..).zip(key.chunks_mut(8)) {
        part.copy_from_slice(&states.hash_one(number).to_le_bytes());
    }
    key
});

/// Shown instead of a value that only AWS knows: the same for the same value at the same place, within one process.
pub fn fingerprint(place: &str, value: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(KEY.as_slice()) else { return "differs".to_owned() };
    mac.update(place.as_bytes());
    mac.update(&[0]);
    mac.update(value.as_bytes());
    let digits: String = hex::encode(mac.finalize().into_bytes()).chars().take(8).collect();
    format!("differs ({digits})")
}

/// Words that a linter complains about where the value stands in plain text.
const NAMES: [&str; 10] = [
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "APIKEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
    "ACCESS_KEY",
    "DATABASE_URL",
];

/// Whether a name says that its value is a secret.
pub fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    NAMES.iter().any(|word| name.contains(word))
}

/// Parts of a name, without what separates them.
const PARTS: [&str; 17] = [
    "PASS",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "PRIVATEKEY",
    "ACCESSKEY",
    "CREDENTIAL",
    "DATABASEURL",
    "CONNECTIONSTRING",
    "CONNSTR",
    "KUBECONFIG",
    "NETRC",
    "MNEMONIC",
    "KEYSTORE",
    "BEARER",
    "COOKIE",
    "WEBHOOK",
];
/// Whole words of a name.
const WORDS: [&str; 23] = [
    "PW",
    "PWD",
    "DSN",
    "JWT",
    "CRED",
    "CREDS",
    "SALT",
    "PEPPER",
    "CERT",
    "PEM",
    "PFX",
    "P12",
    "PIN",
    "OTP",
    "TOTP",
    "SEED",
    "SIG",
    "SIGNATURE",
    "AUTH",
    "OAUTH",
    "AUTHORIZATION",
    "SIGNING",
    "ENCRYPTION",
];
/// What has an address with a password in it.
const SERVERS: [&str; 17] = [
    "DB",
    "DATABASE",
    "MONGO",
    "MONGODB",
    "REDIS",
    "POSTGRES",
    "POSTGRESQL",
    "PG",
    "MYSQL",
    "AMQP",
    "RABBITMQ",
    "CLICKHOUSE",
    "ELASTICSEARCH",
    "BROKER",
    "JDBC",
    "SMTP",
    "LDAP",
];

/// Whether a name suggests that its value may be a secret. It errs towards yes: it only costs a word of explanation.
pub fn may_name_a_secret(name: &str) -> bool {
    let compact: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    if PARTS.iter().any(|part| compact.contains(part)) {
        return true;
    }
    let words = words(name);
    let follows = |ends: &[&str], before: Option<&[&str]>| {
        words.windows(2).any(|pair| {
            ends.contains(&pair[1].as_str()) && before.is_none_or(|before| before.contains(&pair[0].as_str()))
        })
    };
    words.iter().any(|word| WORDS.contains(&word.as_str()))
        || follows(&["KEY", "KEYS"], None)
        || follows(&["URL", "URI"], Some(&SERVERS))
}

/// `apiKey`, `API_KEY` and `api-key` alike.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    for c in name.chars() {
        let joins = before.is_some_and(|before| {
            before.is_ascii_alphanumeric() && !(before.is_ascii_lowercase() && c.is_ascii_uppercase())
        });
        match (c.is_ascii_alphanumeric(), words.last_mut().filter(|_| joins)) {
            (true, Some(word)) => word.push(c.to_ascii_uppercase()),
            (true, None) => words.push(c.to_ascii_uppercase().to_string()),
            (false, _) => {}
        }
        before = Some(c);
    }
    words
}

/// How tokens of well-known services begin.
const MARKS: [&str; 32] = [
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xapp-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "sk-",
    "AIza",
    "ya29.",
    "eyJ",
    "npm_",
    "pypi-",
    "dckr_pat_",
    "SG.",
    "hvs.",
    "shpat_",
    "dop_v1_",
];
/// Addresses that are secrets as a whole.
const ADDRESSES: [&str; 4] =
    ["hooks.slack.com/", "discord.com/api/webhooks", "webhook.office.com/", "api.telegram.org/bot"];

/// Whether a text looks as if it held a secret: an address with a user in it, a key, a token, `password=…`.
pub fn holds_a_secret(text: &str) -> bool {
    text.contains("-----BEGIN") || ADDRESSES.iter().any(|address| text.contains(address)) || {
        let ends = |c: char| c.is_whitespace() || "\"'`,;&?()[]{}<>|".contains(c);
        let mut pieces = text.split(ends).filter(|piece| !piece.is_empty());
        let mut before = "";
        pieces.any(|piece| {
            let told = is_secret_piece(piece) || is_introduced(before, piece);
            before = piece;
            told
        })
    }
}

/// `--token abc`, `Bearer abc`.
fn is_introduced(before: &str, piece: &str) -> bool {
    let is_option = before.starts_with('-') && may_name_a_secret(before);
    !piece.starts_with('-') && (is_option || matches!(before, "Bearer" | "Basic"))
}

fn is_secret_piece(piece: &str) -> bool {
    let has_user = piece.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '#']).next().unwrap_or_default();
        // A password may hold any of these, unescaped.
        authority.contains('@') || rest.split(':').nth(1).is_some_and(|password| password.contains('@'))
    });
    let is_assigned =
        piece.split_once('=').is_some_and(|(name, value)| !value.is_empty() && may_name_a_secret(name));
    let parts = || piece.split(['=', ':', '/', '@']);
    let is_marked =
        |part: &str| MARKS.iter().any(|mark| part.strip_prefix(mark).is_some_and(|rest| rest.len() >= 8));
    has_user || is_assigned || parts().any(is_marked)
}

/// Whether a text holds a secret, or something that looks as random as one.
pub fn may_hold_a_secret(text: &str) -> bool {
    let separates = |c: char| !c.is_ascii_alphanumeric() && !"+_-".contains(c);
    holds_a_secret(text) || text.split(separates).any(is_random)
}

/// At least 24 characters, with capitals, small letters and digits all through: no name, and no digest.
fn is_random(part: &str) -> bool {
    let count = |is: fn(&u8) -> bool| part.bytes().filter(is).count();
    let (upper, lower, digits) =
        (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase), count(u8::is_ascii_digit));
    part.len() >= 24 && upper >= 4 && lower >= 4 && digits >= 2
}

/// Free text without what looks like a secret: for what others say, such as an error of AWS.
pub fn scrubbed(text: &str) -> Cow<'_, str> {
    if !may_hold_a_secret(text) {
        return Cow::Borrowed(text);
    }
    let text = text.split("-----BEGIN").next().unwrap_or_default();
    let mut scrubbed = String::with_capacity(text.len());
    let mut before = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if may_hold_a_secret(bare) || holds_a_secret(&format!("{before} {bare}")) {
            scrubbed.push_str(HIDDEN);
            scrubbed.push_str(word.get(bare.len()..).unwrap_or_default());
            before.clear();
        } else {
            scrubbed.push_str(word);
            bare.clone_into(&mut before);
        }
    }
    Cow::Owned(scrubbed)
}

/// Free text without these values and what else looks like a secret.
pub fn without<'v>(text: &str, values: impl IntoIterator<Item = &'v str>) -> String {
    let mut values: Vec<&str> = values.into_iter().collect();
    // A part of one must not leave the rest of it behind.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let text = values.iter().fold(text.to_owned(), |text, value| text.replace(value, HIDDEN));
    let begun = values.iter().filter_map(|value| begun_at_the_end(&text, value)).max();
    let whole = text.get(..text.len().saturating_sub(begun.unwrap_or_default())).unwrap_or_default();
    let text = if begun.is_some() { format!("{whole}{HIDDEN}") } else { text };
    scrubbed(&text).into_owned()
}

/// How many bytes of the value a text that was cut short ends with. Fewer than these are the end of any sentence.
fn begun_at_the_end(text: &str, value: &str) -> Option<usize> {
    const FEWEST: usize = 6;
    let lengths = value.char_indices().map(|(length, _)| length).filter(|length| *length >= FEWEST);
    lengths.rev().find(|length| value.get(..*length).is_some_and(|begun| text.ends_with(begun)))
}

#[cfg(test)]
mod tests {
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
}
