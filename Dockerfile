# zpushd in two stages: compiled in the first, only libraries and programs in
# the second. The image refuses to start without ZPUSHD_STORE_URL: a store
# inside a container is gone with it (ZPUSHD_STORE_URL=embedded: for a try).
#
#   docker build -t zpushd .
#   docker run -e ZPUSHD_STORE_URL=redis://redis:6379/0 -e ZPUSHD_BACKEND_MAIL=imap \
#     -e ZPUSHD_IMAP_URL=imaps://mail:993 -e ZPUSHD_SMTP_URL=smtp://mail:25 -p 8443:8443 zpushd

FROM debian:12 AS build
WORKDIR /src
COPY deps/packages.txt deps/install.sh deps/
RUN deps/install.sh runtime build
COPY . .
RUN make -s -j"$(nproc)" all && make -s install DESTDIR=/out PREFIX=/usr

FROM debian:12
COPY deps/packages.txt deps/install.sh /tmp/deps/
RUN /tmp/deps/install.sh runtime && rm -rf /tmp/deps /var/lib/apt/lists/* \
    && useradd --system --uid 990 --home-dir /var/lib/zpushd --shell /usr/sbin/nologin zpushd \
    && install -d -o zpushd -g zpushd -m 0700 /var/lib/zpushd
COPY --from=build /out/ /

# ZPUSHD_CONTAINER=1: an explicit store is demanded, and nothing is made up
# that would die with the container.
ENV ZPUSHD_CONTAINER=1 \
    ZPUSHD_SERVER_DATA_DIR=/var/lib/zpushd \
    ZPUSHD_SERVER_LISTEN="[::]:8080" \
    ZPUSHD_SERVER_LISTEN_TLS="[::]:8443"
USER zpushd
WORKDIR /var/lib/zpushd
VOLUME /var/lib/zpushd
EXPOSE 8080 8443
STOPSIGNAL SIGTERM
# bash speaks HTTP well enough; no program is added for this
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD \
    ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ code _ <&3 && [ \"$code\" = 200 ]"]
ENTRYPOINT ["zpushd"]
CMD ["-c", "/etc/zpushd/zpushd.toml"]
