# The image of trueup: one binary on a base without a shell. It runs as nobody, on a read-only root; /cache keeps the
# clone of the infrastructure repository and may be empty at each start. Repositories over SSH need a base with `ssh`.
FROM rust:1.95-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc g++ cmake make perl pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /source/target/release/trueup /usr/local/bin/trueup
USER 65532:65532
ENV TRUEUP_CACHE=/cache TRUEUP_LISTEN=0.0.0.0:8080
VOLUME ["/cache"]
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/trueup"]
CMD ["run", "--log-format", "json"]
