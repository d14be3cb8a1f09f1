# Two images. Without `--target`: the controller, one binary on a base without a shell, which runs as nobody on a
# read-only root. `--target ci`: the same binary with a shell, git and ssh, for jobs and for repositories over SSH.
# A third, `--target binary`, is the binary alone: a release packs what its image runs.
# Each base is pinned by the digest of its multi-platform index; .github/dependabot.yml proposes newer ones.
FROM rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin trueup \
    && mkdir -p /volumes/cache \
    && touch /volumes/cache/.keep

FROM scratch AS binary
COPY --from=build /source/target/release/trueup /trueup

FROM debian:bookworm-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251 AS ci
# Checkouts that are mounted or made by another user are read too.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*' \
    && useradd --uid 65532 --create-home nonroot
COPY --from=build /source/target/release/trueup /usr/local/bin/trueup
CMD ["trueup", "--help"]

FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
COPY --from=build /source/target/release/trueup /usr/local/bin/trueup
# A volume takes its owner from what the image has there, on Fargate and with plain Docker; else it is root's. (AWS's
# example has a file in it, so this one has too.) /cache keeps the clone of the infrastructure repository.
COPY --from=build --chown=65532:65532 /volumes/cache /cache
USER 65532:65532
ENV TRUEUP_CACHE=/cache TRUEUP_LISTEN=0.0.0.0:8080
VOLUME ["/cache"]
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/trueup"]
CMD ["run", "--log-format", "json"]
