#!/bin/sh
# Gets trueup from a release: the archive for this machine, checked against the release's SHA256SUMS.
#
#   TRUEUP_VERSION   such as v0.1.0; the newest release, if not given
#   TRUEUP_BIN       the folder that the program is put into; ~/.local/bin, if not given
#   TRUEUP_RELEASES  where the releases are; GitHub, if not given. For a mirror
#   TRUEUP_VERIFY    1: also have `gh` verify that our release workflow built the archive; it needs GH_TOKEN
set -eu

releases=${TRUEUP_RELEASES:-https://github.com/trueup-dev/trueup/releases}
bin=${TRUEUP_BIN:-$HOME/.local/bin}

fail() {
    echo "error: $1" >&2
    [ -z "${2:-}" ] || echo "  hint  $2" >&2
    exit 1
}

case "$(uname -s)" in
    Linux) system=unknown-linux-gnu ;;
    Darwin) system=apple-darwin ;;
    *) fail "no release is built for $(uname -s)" "cargo install --git https://github.com/trueup-dev/trueup --locked trueup" ;;
esac
case "$(uname -m)" in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail "no release is built for $(uname -m)" "cargo install --git https://github.com/trueup-dev/trueup --locked trueup" ;;
esac
name=trueup-$machine-$system
if [ -n "${TRUEUP_VERSION:-}" ]; then
    from=$releases/download/$TRUEUP_VERSION
else
    from=$releases/latest/download
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Without TLS only where the mirror is named so: GitHub's own redirects stay on https.
protocols='=https'
case "$releases" in http://*) protocols='=http,https' ;; esac
for file in "$name.tar.gz" SHA256SUMS; do
    curl --proto "$protocols" --fail --silent --show-error --location --retry 3 --max-time 300 --max-filesize 268435456 \
        --output "$folder/$file" "$from/$file" || fail "cannot get $from/$file" "is there such a release? $releases"
done

cd "$folder"
grep "^[0-9a-f]\{64\}  $name\.tar\.gz\$" SHA256SUMS >expected || fail "SHA256SUMS of the release does not name $name.tar.gz"
if command -v sha256sum >/dev/null; then
    sha256sum --check --quiet expected >&2 || fail "$name.tar.gz is not what SHA256SUMS of the release says"
else
    shasum --algorithm 256 --check --quiet expected >&2 || fail "$name.tar.gz is not what SHA256SUMS of the release says"
fi
if [ "${TRUEUP_VERIFY:-}" = 1 ]; then
    gh attestation verify "$name.tar.gz" --repo trueup-dev/trueup --signer-workflow trueup-dev/trueup/.github/workflows/release.yml >&2 ||
        fail "the release workflow of trueup-dev/trueup has not attested $name.tar.gz"
fi

tar -xzf "$name.tar.gz"
version=$("$name/trueup" --version) || fail "the program does not run here" "on Linux it needs glibc 2.34; elsewhere use the image, or cargo install"
mkdir -p "$bin"
# By a rename, so that a trueup that runs meanwhile is left alone.
cp "$name/trueup" "$bin/.trueup.new"
mv -f "$bin/.trueup.new" "$bin/trueup"
echo "$version is in $bin" >&2
