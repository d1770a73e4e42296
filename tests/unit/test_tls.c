/* test_tls.c - TLS over real sockets: mbedTLS's own client, openssl, curl and
 * Python against the engine and the record layer; tickets over a restart and
 * between instances; slow, truncating and hostile peers. */
#include "rig/looprig.c"

#include <malloc.h>
#include <mbedtls/ssl.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/metrics.h"
#include "loop/tls.h"

#define EAS "/Microsoft-Server-ActiveSync"

static struct rig rig;

/* -- a client ------------------------------------------------------------------- */

struct client {
	int fd;
	mbedtls_ssl_config conf;
	mbedtls_ssl_context ssl;
	int suites[2];
	bool step; /* one byte a send */
};

static int c_send(void *arg, const unsigned char *p, size_t n)
{
	struct client *c = arg;
	ssize_t sent = send(c->fd, p, c->step ? 1 : n, MSG_NOSIGNAL);

	return sent > 0 ? (int)sent : -1;
}

static int c_recv(void *arg, unsigned char *p, size_t n)
{
	struct client *c = arg;
	ssize_t got = recv(c->fd, p, n, 0);

	return got >= 0 ? (int)got : -1;
}

static void client_open(struct client *c, unsigned port, int suite)
{
	memset(c, 0, sizeof(*c));
	c->fd = dial(port);
	c->suites[0] = suite;
	mbedtls_ssl_config_init(&c->conf);
	mbedtls_ssl_init(&c->ssl);
	CHECK(mbedtls_ssl_config_defaults(&c->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
					  MBEDTLS_SSL_PRESET_DEFAULT) == 0);
	mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_rng(&c->conf, tls_rng, (void *)&rnd_system);
	if (suite)
		mbedtls_ssl_conf_ciphersuites(&c->conf, c->suites);
}

static int client_shake(struct client *c, mbedtls_ssl_session *resume)
{
	CHECK(mbedtls_ssl_setup(&c->ssl, &c->conf) == 0);
	mbedtls_ssl_set_bio(&c->ssl, c, c_send, c_recv, NULL);
	if (resume)
		CHECK(mbedtls_ssl_set_session(&c->ssl, resume) == 0);
	return mbedtls_ssl_handshake(&c->ssl);
}

static void client_close(struct client *c)
{
	mbedtls_ssl_free(&c->ssl);
	mbedtls_ssl_config_free(&c->conf);
	close(c->fd);
}

static void client_say(struct client *c, const char *text)
{
	size_t n = strlen(text), at = 0;

	while (at < n) {
		int rc = mbedtls_ssl_write(&c->ssl, (const unsigned char *)text + at, n - at);

		CHECK(rc > 0);
		at += (size_t)rc;
	}
}

/* Until `n` bytes or the end. */
static struct slice client_hear(struct client *c, size_t n)
{
	char *buf = arena_alloc(test_arena(), n + 1);
	size_t at = 0;

	while (at < n) {
		int rc = mbedtls_ssl_read(&c->ssl, (unsigned char *)buf + at, n - at);

		if (rc <= 0)
			break;
		at += (size_t)rc;
	}
	return slice(buf, at);
}

static struct slice client_reply(struct client *c)
{
	char *buf = arena_alloc(test_arena(), 8192);
	size_t n = 0;
	const char *at, *body;

	while (n < 8000) {
		int rc = mbedtls_ssl_read(&c->ssl, (unsigned char *)buf + n, 8000 - n);

		if (rc <= 0)
			break;
		n += (size_t)rc;
		body = strstr(buf, "\r\n\r\n");
		at = strstr(buf, "Content-Length: ");
		if (body && at && n >= (size_t)(body + 4 - buf) + strtoul(at + 16, NULL, 10))
			break;
	}
	return slice(buf, n);
}

static const char *post(const char *device)
{
	return arena_printf(test_arena(), "POST " EAS "?Cmd=Ping&User=u&DeviceId=%s&DeviceType=T HTTP/1.1\r\nHost: h\r\n"
			    "Content-Length: 0\r\n\r\n", device).ptr;
}

static bool has(struct slice text, const char *part)
{
	return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static void start(void)
{
	rig_init(&rig);
	rig.deps.secret = S("a fleet's secret of some length");
	rig_start(&rig, true);
}

static const int suites[] = {
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
};

/* -- cases -------------------------------------------------------------------------- */

CASE(tls_serves_requests_in_each_suite)
{
	start();
	for (int i = 0; i < 3; i++) {
		struct client c;

		client_open(&c, rig.tls_port, suites[i]);
		CHECK_INT(client_shake(&c, NULL), 0);
		for (int n = 0; n < 20; n++) {
			client_say(&c, post("d"));
			CHECK(has(client_reply(&c), "tls=1"));
		}
		client_close(&c);
	}
	CHECK_INT(metric_get(M_tls_engine_kept), 0);
	rig_stop(&rig);
}

CASE(tls_writes_a_large_reply)
{
	struct client c;
	struct slice got;
	const char *at;
	size_t have;

	start();
	client_open(&c, rig.tls_port, 0);
	CHECK_INT(client_shake(&c, NULL), 0);
	client_say(&c, post("big"));
	got = client_hear(&c, 400);
	at = memmem(got.ptr, got.len, "\r\n\r\n", 4);
	CHECK(at);
	have = got.len - (size_t)(at + 4 - got.ptr);
	got = client_hear(&c, 3000000 - have);
	CHECK_INT(got.len, 3000000 - have);
	for (size_t i = 0; i < got.len; i++)
		if (got.ptr[i] != (char)('a' + (i + have) % 1000 % 26))
			test_fail(__FILE__, __LINE__, "byte %zu", i);
	client_close(&c);
	rig_stop(&rig);
}

CASE(tls_honours_small_fragments)
{
	struct client c;

	start();
	client_open(&c, rig.tls_port, 0);
	mbedtls_ssl_conf_max_frag_len(&c.conf, MBEDTLS_SSL_MAX_FRAG_LEN_512);
	CHECK_INT(client_shake(&c, NULL), 0);
	client_say(&c, post("big"));
	CHECK(client_hear(&c, 3000000).len == 3000000);
	client_close(&c);
	rig_stop(&rig);
}

CASE(tls_handshake_byte_by_byte)
{
	struct client c;

	start();
	client_open(&c, rig.tls_port, 0);
	c.step = true;
	CHECK_INT(client_shake(&c, NULL), 0);
	client_say(&c, post("d"));
	CHECK(has(client_reply(&c), "tls=1"));
	client_close(&c);
	rig_stop(&rig);
}

/* Shakes hands with `resume`; was it resumed? The new session is left there. */
static bool resumes(mbedtls_ssl_session *session)
{
	int64_t before = metric_get(M_tls_resumed_total);
	struct client c;

	client_open(&c, rig.tls_port, 0);
	CHECK_INT(client_shake(&c, session), 0);
	client_say(&c, post("d"));
	CHECK(has(client_reply(&c), "tls=1"));
	mbedtls_ssl_session_free(session);
	mbedtls_ssl_session_init(session);
	CHECK(mbedtls_ssl_get_session(&c.ssl, session) == 0);
	client_close(&c);
	return metric_get(M_tls_resumed_total) > before;
}

static void first_session(mbedtls_ssl_session *session)
{
	struct client c;

	mbedtls_ssl_session_init(session);
	client_open(&c, rig.tls_port, 0);
	CHECK_INT(client_shake(&c, NULL), 0);
	CHECK(mbedtls_ssl_get_session(&c.ssl, session) == 0);
	client_close(&c);
}

CASE(tls_tickets_survive_a_restart_and_another_secret_does_not)
{
	mbedtls_ssl_session session;

	start();
	first_session(&session);
	CHECK(resumes(&session));
	rig_stop(&rig);
	start(); /* another certificate, same secret: another instance */
	CHECK(resumes(&session));
	rig_stop(&rig);
	rig_init(&rig);
	rig.deps.secret = S("a secret of someone else");
	rig_start(&rig, true);
	CHECK(!resumes(&session));
	rig_stop(&rig);
	mbedtls_ssl_session_free(&session);
}

/* -- tickets, with time ---------------------------------------------------------------- */

static int64_t fake_wall;

static int64_t wall(void *self)
{
	(void)self;
	return fake_wall;
}

CASE(tls_ticket_keys_follow_the_hour)
{
	struct clock clock = { .now_ms = wall, .wall_ms = wall };
	struct tls_tickets t = { .secret = "secret", .clock = &clock, .rnd = &rnd_system };
	mbedtls_ssl_session s, back;
	unsigned char ticket[600];
	size_t n;
	uint32_t life;

	fake_wall = (int64_t)1800000000 * 1000;
	mbedtls_ssl_session_init(&s);
	mbedtls_ssl_session_init(&back);
	s.ciphersuite = suites[0];
	s.start = (time_t)(fake_wall / 1000);
	memset(s.master, 'm', sizeof(s.master));
	CHECK_INT(tls_ticket_write(&t, &s, ticket, ticket + sizeof(ticket), &n, &life), 0);
	CHECK_INT(life, TLS_TICKET_LIFE_S);
	CHECK(tls_ticket_good(&t, slice(ticket, n)));
	CHECK_INT(tls_ticket_parse(&t, &back, ticket, n), 0);
	CHECK(!memcmp(back.master, s.master, sizeof(s.master)));
	fake_wall += (int64_t)11 * 3600000;
	CHECK(tls_ticket_good(&t, slice(ticket, n)));
	fake_wall += (int64_t)2 * 3600000;
	CHECK(!tls_ticket_good(&t, slice(ticket, n)));
	CHECK(tls_ticket_parse(&t, &back, ticket, n) != 0);
	fake_wall = (int64_t)1800000000 * 1000;
	for (size_t i = 0; i < n * 8; i++) {
		ticket[i / 8] ^= (unsigned char)(1 << i % 8);
		CHECK(!tls_ticket_good(&t, slice(ticket, n)));
		ticket[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	for (size_t i = 0; i < n; i++)
		CHECK(!tls_ticket_good(&t, test_guarded(slice(ticket, i))));
	/* A session of the old suites ends when they are no longer allowed. */
	s.ciphersuite = MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA;
	CHECK_INT(tls_ticket_write(&t, &s, ticket, ticket + sizeof(ticket), &n, &life), 0);
	CHECK_INT(tls_ticket_parse(&t, &back, ticket, n), 0);
	t.aead_only = true;
	CHECK(tls_ticket_parse(&t, &back, ticket, n) != 0);
	/* No room: an error, not a write. */
	CHECK(tls_ticket_write(&t, &s, ticket, ticket + 50, &n, &life) != 0);
	mbedtls_ssl_session_free(&s);
	mbedtls_ssl_session_free(&back);
}

/* -- old phones ----------------------------------------------------------------------------- */

CASE(tls_refuses_old_versions_unless_let_in)
{
	struct client c;

	start();
	client_open(&c, rig.tls_port, 0);
	mbedtls_ssl_conf_max_version(&c.conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_1);
	mbedtls_ssl_conf_min_version(&c.conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_1);
	CHECK(client_shake(&c, NULL) != 0);
	client_close(&c);
	client_open(&c, rig.tls_port, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256);
	CHECK(client_shake(&c, NULL) != 0);
	client_close(&c);
	rig_stop(&rig);

	rig_init(&rig);
	rig.deps.tls_min_version = "1.0";
	rig_start(&rig, true);
	client_open(&c, rig.tls_port, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA);
	mbedtls_ssl_conf_max_version(&c.conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_1);
	mbedtls_ssl_conf_min_version(&c.conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_1);
	CHECK_INT(client_shake(&c, NULL), 0);
	client_say(&c, post("d"));
	CHECK(has(client_reply(&c), "tls=1"));
	CHECK_INT(metric_get(M_tls_engine_kept), 1); /* CBC keeps its engine, counted */
	client_say(&c, post("big"));
	CHECK(client_hear(&c, 3000000).len == 3000000);
	client_close(&c);
	rig_stop(&rig);
	CHECK_INT(metric_get(M_tls_engine_kept), 0);
}

/* -- parking ------------------------------------------------------------------------------------ */

CASE(tls_parks_and_is_answered)
{
	struct client c;

	start();
	client_open(&c, rig.tls_port, 0);
	CHECK_INT(client_shake(&c, NULL), 0);
	for (unsigned i = 1; i <= 3; i++) {
		client_say(&c, post("park"));
		rig_wait(&rig, &rig.parks, i);
		CHECK(rig_answer(&rig));
		CHECK(has(client_reply(&c), "woken"));
	}
	/* Bytes while parked end the wait; what they ask comes after. */
	rig.answer_hurried = true;
	client_say(&c, post("park"));
	rig_wait(&rig, &rig.parks, 4);
	client_say(&c, post("d"));
	CHECK(has(client_reply(&c), "hurried"));
	CHECK(has(client_reply(&c), "cmd=Ping"));
	/* close_notify while parked. */
	client_say(&c, post("park"));
	rig_wait(&rig, &rig.parks, 5);
	mbedtls_ssl_close_notify(&c.ssl);
	rig_wait(&rig, &rig.drops, 1);
	client_close(&c);
	rig_stop(&rig);
}

CASE(tls_parked_costs_little)
{
	enum { PHONES = 600, WARM = 200 };
	static int fd[PHONES];
	const char *text = post("park");
	mbedtls_ssl_session session;
	size_t before = 0, each;

	if (mallinfo2().uordblks == 0)
		test_skip("this allocator does not count");
	start();
	first_session(&session);
	for (int i = 0; i < PHONES; i++) {
		struct client c;

		client_open(&c, rig.tls_port, 0);
		CHECK_INT(client_shake(&c, &session), 0);
		client_say(&c, text);
		rig_wait(&rig, &rig.parks, (unsigned)i + 1);
		fd[i] = dup(c.fd);
		client_close(&c); /* our own side's memory; the connection lives in the copy */
		if (i == WARM) /* by now every thread's cache of free blocks is full */
			before = mallinfo2().uordblks;
	}
	each = (mallinfo2().uordblks - before) / (PHONES - WARM - 1);
	printf("# a parked phone on TLS: heap %zu bytes\n", each);
	CHECK(each <= 600); /* the slab grows by 256 connections at once */
	for (int i = 0; i < PHONES; i++)
		close(fd[i]);
	mbedtls_ssl_session_free(&session);
	rig_stop(&rig);
}

/* -- hostile peers ---------------------------------------------------------------------------------- */

CASE(tls_closes_on_renegotiation)
{
	struct client c;
	char byte;

	start();
	client_open(&c, rig.tls_port, 0);
	mbedtls_ssl_conf_renegotiation(&c.conf, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
	CHECK_INT(client_shake(&c, NULL), 0);
	CHECK(mbedtls_ssl_renegotiate(&c.ssl) != 0);
	while (recv(c.fd, &byte, 1, 0) > 0)
		;
	client_close(&c);
	rig_stop(&rig);
}

static struct loop_stats stats;

static void read_stats(struct rig *r)
{
	loop_stats(r->l, &stats);
}

static void wait_connections(unsigned n)
{
	for (int i = 0; i < 3000; i++) {
		rig_on_loop(&rig, read_stats);
		if (stats.connections == n)
			return;
	}
	CHECK_INT(stats.connections, n);
}

CASE(tls_survives_noise_and_cut_handshakes)
{
	static const char *const noise[] = {
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "\x16\x03\x01\xff\xff", "\x16\x03\x01\x40\x00", "\x17\x03\x03\x20",
		"\x15\x03\x03\x02\x02\x28", "\x80\x2e\x01\x03\x01",
	};
	struct linger reset = { 1, 0 };

	start();
	for (size_t i = 0; i < sizeof(noise) / sizeof(*noise); i++) {
		int fd = dial(rig.tls_port);

		say(fd, noise[i]);
		shutdown(fd, SHUT_WR);
		hear_all(fd);
		close(fd);
	}
	/* Gone while a worker has the engine. */
	for (int i = 0; i < 20; i++) {
		struct client c;
		int rc = 0;

		client_open(&c, rig.tls_port, 0);
		CHECK(mbedtls_ssl_setup(&c.ssl, &c.conf) == 0);
		mbedtls_ssl_set_bio(&c.ssl, &c, c_send, c_recv, NULL);
		for (int s = 0; s < 2 + i % 8 && rc == 0; s++)
			rc = mbedtls_ssl_handshake_step(&c.ssl);
		setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		client_close(&c);
	}
	wait_connections(0);
	rig_stop(&rig);
}

CASE(tls_slow_handshake_ends)
{
	int fd;

	rig_init(&rig);
	rig.config.handshake_ms = 300;
	rig_start(&rig, true);
	fd = dial(rig.tls_port);
	say(fd, "\x16\x03\x01");
	CHECK_STR(slice_str(hear_all(fd)), "");
	close(fd);
	rig_stop(&rig);
}

/* One thread's whole exchange; no CHECKs here, they belong to the case's thread. */
static void *one_exchange(void *arg)
{
	struct client c;
	unsigned char buf[1024];
	const char *text = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	int *ok = arg;

	client_open(&c, rig.tls_port, 0);
	*ok = client_shake(&c, NULL) == 0 && mbedtls_ssl_write(&c.ssl, (const unsigned char *)text, strlen(text)) > 0 &&
	      mbedtls_ssl_read(&c.ssl, buf, sizeof(buf)) > 0;
	client_close(&c);
	return NULL;
}

/* Past the limit the rest stays unaccepted, and is served later. */
CASE(tls_bounds_handshakes_and_serves_all)
{
	enum { CLIENTS = 16 };
	pthread_t t[CLIENTS];
	int ok[CLIENTS] = { 0 };

	rig_init(&rig);
	rig.config.handshakes = 1;
	rig_start(&rig, true);
	for (int i = 0; i < CLIENTS; i++)
		pthread_create(&t[i], NULL, one_exchange, &ok[i]);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < CLIENTS; i++)
		CHECK(ok[i]);
	wait_connections(0);
	CHECK_INT(rig.l->handshakes, 0);
	rig_stop(&rig);
}

static size_t c_len;
static char c_buf[4096];

static int c_capture(void *arg, const unsigned char *p, size_t n)
{
	(void)arg;
	CHECK(c_len + n <= sizeof(c_buf));
	memcpy(c_buf + c_len, p, n);
	c_len += n;
	return (int)n;
}

/* A request's record with each byte changed in turn: never an answer. */
CASE(tls_a_changed_record_is_never_answered)
{
	size_t len = 1;

	start();
	for (size_t at = 0; at < len; at += at < 5 ? 1 : 13) {
		struct client c;
		char got[256];
		ssize_t n;

		client_open(&c, rig.tls_port, suites[at % 3]);
		CHECK_INT(client_shake(&c, NULL), 0);
		mbedtls_ssl_set_bio(&c.ssl, &c, c_capture, c_recv, NULL);
		c_len = 0;
		client_say(&c, post("d"));
		len = c_len;
		c_buf[at] ^= 0x01;
		say_bytes(c.fd, slice(c_buf, c_len));
		shutdown(c.fd, SHUT_WR);
		n = recv(c.fd, got, sizeof(got), 0);
		CHECK(n <= 0 || got[0] == TLSREC_ALERT);
		client_close(&c);
	}
	rig_stop(&rig);
}

/* -- other people's clients -------------------------------------------------------------------------- */

static const char *shell(const char *cmd)
{
	char *out = arena_alloc(test_arena(), 65536);
	FILE *f = popen(cmd, "r");
	size_t n;

	CHECK(f);
	n = fread(out, 1, 65535, f);
	out[n] = 0;
	pclose(f);
	return out;
}

static bool installed(const char *program)
{
	return shell(arena_printf(test_arena(), "command -v %s", program).ptr)[0];
}

static void check_shell(const char *want, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void check_shell(const char *want, const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;
	const char *got;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	got = shell(cmd);
	if (!strstr(got, want))
		test_fail(__FILE__, __LINE__, "no \"%s\" from: %s\n%.1500s", want, cmd, got);
}

CASE(tls_curl_verifies_the_self_made_certificate)
{
	if (!installed("curl"))
		test_skip("no curl");
	start();
	check_shell("tls=1", "curl -sS -m 10 --cacert %s/tls.crt 'https://localhost:%u" EAS "?Cmd=Ping&DeviceId=d&DeviceType=T' -d '' 2>&1", rig.dir, rig.tls_port);
	check_shell("tls=1", "curl -sS -m 10 --cacert %s/tls.crt 'https://127.0.0.1:%u" EAS "?Cmd=Ping&DeviceId=d&DeviceType=T' -d '' 2>&1", rig.dir, rig.tls_port);
	check_shell("200", "curl -sS -m 10 -k -o /dev/null -w '%%{http_code}' https://127.0.0.1:%u/healthz 2>&1", rig.tls_port);
	check_shell("3000000", "curl -sS -m 10 -k -o /dev/null -w '%%{size_download}' 'https://127.0.0.1:%u" EAS "?Cmd=Ping&DeviceId=big&DeviceType=T' -d '' 2>&1", rig.tls_port);
	rig_stop(&rig);
}

CASE(tls_openssl_resumes_and_splits)
{
	if (!installed("openssl"))
		test_skip("no openssl");
	start();
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
						     "ECDHE-ECDSA-CHACHA20-POLY1305" };

		check_shell("tls=1", "printf 'GET " EAS " HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n' |"
			    " timeout 10 openssl s_client -quiet -tls1_2 -cipher %s -max_send_frag 512 -connect 127.0.0.1:%u 2>/dev/null",
			    names[i], rig.tls_port);
	}
	check_shell("New, TLSv1.2", "timeout 10 openssl s_client -tls1_2 -sess_out %s/sess -connect 127.0.0.1:%u </dev/null 2>&1", rig.dir, rig.tls_port);
	check_shell("Reused, TLSv1.2", "timeout 10 openssl s_client -tls1_2 -sess_in %s/sess -connect 127.0.0.1:%u </dev/null 2>&1", rig.dir, rig.tls_port);
	check_shell("alert", "timeout 10 openssl s_client -tls1_3 -connect 127.0.0.1:%u </dev/null 2>&1", rig.tls_port);
	rig_stop(&rig);
}

CASE(tls_python_keeps_alive)
{
	if (!installed("python3"))
		test_skip("no python3");
	start();
	check_shell("200 200 200 ok", "python3 -c '\n"
		    "import ssl, http.client\n"
		    "ctx = ssl.create_default_context(cafile=\"%s/tls.crt\")\n"
		    "c = http.client.HTTPSConnection(\"localhost\", %u, context=ctx, timeout=10)\n"
		    "for i in range(3):\n"
		    "  c.request(\"POST\", \"" EAS "?Cmd=Ping&DeviceId=big&DeviceType=T\", body=b\"\")\n"
		    "  r = c.getresponse(); n = len(r.read()); print(r.status if n == 3000000 else n, end=\" \")\n"
		    "s = c.sock.unwrap(); print(\"ok\")\n' 2>&1", rig.dir, rig.tls_port);
	rig_stop(&rig);
}

/* -- certificates ----------------------------------------------------------------------------------------- */

CASE(tls_keeps_the_certificate_it_made)
{
	struct stat a, b;
	char path[128];
	struct tls_options o = { .data_dir = rig.dir, .clock = &clock_system, .rnd = &rnd_system };
	struct tls_server *s;
	struct err e;

	start();
	snprintf(path, sizeof(path), "%s/tls.key", rig.dir);
	CHECK(stat(path, &a) == 0);
	CHECK_INT(a.st_mode & 0777, 0600);
	CHECK_INT(tls_server_new(&s, &o, &e), 0);
	tls_server_unref(&s);
	CHECK(stat(path, &b) == 0);
	CHECK(a.st_ino == b.st_ino);
	/* A key that is not the certificate's. */
	o.certificate = arena_printf(test_arena(), "%s/tls.crt", rig.dir).ptr;
	o.key = arena_printf(test_arena(), "%s/tls.crt", rig.dir).ptr;
	CHECK_INT(tls_server_new(&s, &o, &e), -1);
	CHECK(strstr(e.text, "tls.crt"));
	o.certificate = "/nonexistent.pem";
	CHECK_INT(tls_server_new(&s, &o, &e), -1);
	rig_stop(&rig);
}

static void reload(struct rig *r)
{
	struct err e;

	CHECK_INT(loop_reload_tls(r->l, NULL, NULL, &e), 0);
	CHECK_INT(loop_reload_tls(r->l, "/nonexistent.pem", "/nonexistent.pem", &e), -1);
}

CASE(tls_reload_disturbs_nobody)
{
	struct client c, d;

	start();
	client_open(&c, rig.tls_port, 0);
	CHECK_INT(client_shake(&c, NULL), 0);
	rig_on_loop(&rig, reload);
	client_say(&c, post("d"));
	CHECK(has(client_reply(&c), "tls=1"));
	client_open(&d, rig.tls_port, 0);
	CHECK_INT(client_shake(&d, NULL), 0);
	client_close(&c);
	client_close(&d);
	rig_stop(&rig);
}
