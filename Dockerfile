# syntax=docker/dockerfile:1
#
# An image with one binary and what it links to: no shell, no package manager, no root.
#
#   docker build -t memcloud .
#   docker run -p 127.0.0.1:8080:8080 -v memcloud:/data -e MEMCLOUD_API_KEYS=$(openssl rand -hex 24) memcloud
#
# At its first start the server fetches the embedding model into /data. To run without network access, mount a folder
# that holds the model and set MEMCLOUD_MODEL_DIR, or set MEMCLOUD_OFFLINE=true to search by words alone.

FROM rust:1.95-trixie AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package memcloud && \
    install -D target/release/memcloud /image/usr/bin/memcloud

# The shared libraries of the binary, the certificate authorities, one user, and the folders it may write to.
RUN for library in $(ldd /image/usr/bin/memcloud | grep -o '/[^ ]*'); do install -D "$library" "/image$library"; done && \
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt && \
    echo 'memcloud:x:65532:65532::/data:/none' > /image/etc/passwd && \
    echo 'memcloud:x:65532:' > /image/etc/group && \
    install -d -o 65532 -g 65532 /image/data && \
    install -d -m 1777 /image/tmp

FROM scratch
COPY --from=build /image /
COPY LICENSE THIRD-PARTY-LICENSES.txt /usr/share/doc/memcloud/
USER 65532:65532
ENV HOME=/data \
    MEMCLOUD_DATA_DIR=/data \
    MEMCLOUD_LISTEN=0.0.0.0:8080 \
    MEMCLOUD_LOG_FORMAT=json
VOLUME /data
EXPOSE 8080
# Asks the server on port 8080 whether it is alive. Set MEMCLOUD_URL when it listens elsewhere.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/usr/bin/memcloud", "doctor", "--live"]
ENTRYPOINT ["/usr/bin/memcloud"]
CMD ["serve"]
