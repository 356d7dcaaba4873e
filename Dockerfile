# syntax=docker/dockerfile:1

# An image with one file: the static binary, which contains the dashboard. It builds from source, so that a fresh clone
# and Docker are enough:
#
#   docker build --tag cubecast .
#
# The build takes minutes. compose.yaml starts four nodes of this image.

# The `rust-version` of Cargo.toml.
ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# Later builds reuse the crates.
RUN --mount=type=cache,id=cubecast-crates,target=/usr/local/cargo/registry,sharing=locked \
    make dashboard \
    && scripts/release build \
    && install -D --mode=0755 "target/$(uname -m)-unknown-linux-musl/dist/cubecast" /image/cubecast \
    && install --directory --mode=0700 /image/data/cubecast

FROM scratch
COPY --from=build /image/cubecast /cubecast
# The user has no name, because the image has no /etc/passwd. A new volume takes its owner from this folder.
COPY --from=build --chown=65532:65532 /image/data/ /var/lib/
USER 65532:65532
VOLUME /var/lib/cubecast
# Clients, neighbours, the dashboard, the probes and /metrics share one port.
EXPOSE 8000
# SIGTERM, Docker's default, stops a node in an orderly way.
ENTRYPOINT ["/cubecast"]
CMD ["--help"]
