# syntax=docker/dockerfile:1
# The images for a registry. Tests need none of this: scripts/images wraps what cargo has built on the host.
#
#   docker build --target node      -t NAME:TAG .
#   docker build --target operator  -t NAME:TAG .
#   docker build --target dynamoctl -t NAME:TAG .

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches hold the registry and every compiled dependency between builds, so a change of our own code compiles our own code alone. A
# cache is no part of the image, hence the copies.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin dynamo-node --bin dynamo-operator --bin dynamoctl \
    && install -D --strip --target-directory=/out \
        target/release/dynamo-node target/release/dynamo-operator target/release/dynamoctl

# The same release of Debian as the build, for the same glibc. Nothing in it is needed but that and the certificates of public authorities.
FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 nonroot \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir / --shell /usr/sbin/nologin nonroot
# By number: only so can Kubernetes see that it is not root.
USER 65532:65532

FROM base AS dynamoctl
COPY --from=build /out/dynamoctl /bin/dynamoctl
ENTRYPOINT ["/bin/dynamoctl"]

FROM base AS operator
COPY --from=build /out/dynamo-operator /bin/dynamo-operator
ENTRYPOINT ["/bin/dynamo-operator"]

FROM base AS node
COPY --from=build /out/dynamo-node /bin/dynamo-node
ENTRYPOINT ["/bin/dynamo-node"]
