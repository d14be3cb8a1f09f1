# Two images. Without `--target`: the controller, one binary on a base without a shell, which runs as nobody on a
# read-only root. `--target ci`: the same binary with a shell, git and ssh, for jobs and for repositories over SSH.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin trueup \
    && mkdir -p /volumes/cache \
    && touch /volumes/cache/.keep

FROM debian:bookworm-slim AS ci
# Checkouts that are mounted or made by another user are read too.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*' \
    && useradd --uid 65532 --create-home nonroot
COPY --from=build /source/target/release/trueup /usr/local/bin/trueup
CMD ["trueup", "--help"]

FROM gcr.io/distroless/cc-debian12:nonroot
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
