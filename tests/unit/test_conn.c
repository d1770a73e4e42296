/* test_conn.c - connections over real sockets: requests, replies, keep-alive,
 * pipelining, slow and vanishing peers, parking, limits, drain. */
#include "rig/looprig.c"

#include <malloc.h>
#include <zlib.h>

#include <sys/resource.h>

#include "loop/route.h"

#define EAS "/Microsoft-Server-ActiveSync"
#define AUTH "Authorization: Basic dTpw\r\n" /* u:p */

static struct rig rig;

static const char *request(const char *method, const char *query, const char *headers)
{
	return arena_printf(test_arena(), "%s " EAS "%s HTTP/1.1\r\nHost: h\r\n" AUTH "%s\r\n", method, query, headers).ptr;
}

static const char *post(const char *device)
{
	return arena_printf(test_arena(), "POST " EAS "?Cmd=Ping&User=u&DeviceId=%s&DeviceType=T HTTP/1.1\r\nHost: h\r\n"
			    AUTH "Content-Length: 0\r\n\r\n", device).ptr;
}

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	fprintf(stderr, "no \"%s\" in:\n%.600s\n", part, text);
	return false;
}

/* One request on a connection of its own, closed by the server. */
static const char *once(const char *text)
{
	int fd = dial(rig.port);
	const char *got;

	say(fd, text);
	got = hear_all(fd);
	close(fd);
	return got;
}

static void start(void)
{
	rig_init(&rig);
	rig_start(&rig, false);
}

CASE(conn_answers_and_keeps_alive)
{
	int fd;
	const char *got;

	start();
	fd = dial(rig.port);
	for (int i = 0; i < 3; i++) {
		say(fd, post("d"));
		got = hear(fd);
		CHECK(has(got, "HTTP/1.1 200 OK\r\n") && has(got, "cmd=Ping v=25? method=2 login=u pw=p peer=127.0.0.1 tls=0 body=none"));
		CHECK(has(got, "Content-Type: text/plain\r\n") && has(got, "\r\nDate: ") && has(got, "Connection: keep-alive"));
	}
	close(fd);
	rig_stop(&rig);
}

CASE(conn_reads_headers_byte_by_byte)
{
	int fd;
	const char *text = request("POST", "?Cmd=Sync&User=u&DeviceId=d&DeviceType=Smart%20Phone",
				   "MS-ASProtocolVersion: 14.1\r\nX-MS-PolicyKey: 4294967295\r\nConnection: close\r\nContent-Length: 0\r\n");
	const char *got;

	start();
	fd = dial(rig.port);
	for (const char *p = text; *p; p++)
		say_bytes(fd, slice(p, 1));
	got = hear_all(fd);
	CHECK(has(got, "cmd=Sync v=141 method=2") && has(got, "policy=4294967295") && has(got, "type=Smart Phone"));
	CHECK(has(got, "Connection: close"));
	close(fd);
	rig_stop(&rig);
}

static const struct {
	const char *text, *want;
} simple[] = {
	{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "Location: /Microsoft-Server-ActiveSync\r\n" },
	{ "GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 " },
	{ "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "ok\n" },
	{ "DELETE " EAS " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "Allow: OPTIONS, POST, GET, HEAD\r\n" },
	{ "nonsense\r\n\r\n", "HTTP/1.1 400 " },
	{ "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", "HTTP/1.1 400 " },
	{ "POST " EAS "?Cmd=Sync&DeviceId=d&DeviceType=T HTTP/1.1\r\nHost: h\r\nMS-ASProtocolVersion: 99.9\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 " },
	{ "POST " EAS "?Cmd=Sync&DeviceId=d&DeviceType=T HTTP/1.1\r\nHost: h\r\nMS-ASProtocolVersion: 16.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 " },
	{ "POST " EAS "?%zz HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 " },
	{ "OPTIONS /microsoft-server-activesync/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "method=3" },
	{ "OPTIONS /Microsoft-Server-ActiveSync/default.eas HTTP/1.0\r\n\r\n", "method=3" },
	{ "GET " EAS "x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 " },
	{ "POST " EAS " HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 417 " },
	{ "POST " EAS " HTTP/1.1\r\nHost: h\r\nContent-Encoding: br\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", "HTTP/1.1 415 " },
};

CASE(conn_refuses_by_the_right_status)
{
	start();
	for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++)
		CHECK(has(once(simple[i].text), simple[i].want));
	rig_stop(&rig);
}

CASE(conn_head_has_no_body)
{
	int fd;
	const char *got;

	start();
	fd = dial(rig.port);
	say(fd, request("HEAD", "?Cmd=Ping&DeviceId=d&DeviceType=T", "Connection: close\r\n"));
	got = hear_all(fd);
	CHECK(has(got, "Content-Length: ") && !strstr(got, "cmd=") && !strstr(got, "Content-Length: 0"));
	close(fd);
	rig_stop(&rig);
}

CASE(conn_empty_reply_has_no_content_type)
{
	const char *got;

	start();
	got = once(request("POST", "?Cmd=Sync&DeviceId=empty&DeviceType=T", "Content-Length: 0\r\nConnection: close\r\n"));
	CHECK(has(got, "Content-Length: 0\r\n") && !strstr(got, "Content-Type"));
	rig_stop(&rig);
}

CASE(conn_fail_and_injection)
{
	const char *got;

	start();
	got = once(request("POST", "?Cmd=Sync&DeviceId=fail&DeviceType=T", "Content-Length: 0\r\nConnection: close\r\n"));
	CHECK(has(got, "HTTP/1.1 503 ") && has(got, "Retry-After: "));
	got = once(request("POST", "?Cmd=Sync&DeviceId=inject&DeviceType=T", "Content-Length: 0\r\nConnection: close\r\n"));
	CHECK(has(got, "X-A: bX-Evil: 1\r\n"));
	rig_stop(&rig);
}

CASE(conn_answers_pipelined_requests_in_order)
{
	int fd;
	char order[64] = "";

	start();
	fd = dial(rig.port);
	say(fd, arena_printf(test_arena(), "%s%s%s%s", post("gate"), "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", post("b"), post("c")).ptr);
	sem_wait(&rig.entered);
	sem_post(&rig.gate);
	for (int i = 0; i < 4; i++)
		strcat(order, strstr(hear(fd), "ok\n") ? "o" : "p");
	CHECK_STR(slice_str(order), "popp");
	close(fd);
	rig_stop(&rig);
}

CASE(conn_sends_100_continue_once_it_wants_the_body)
{
	int fd;

	start();
	fd = dial(rig.port);
	say(fd, request("POST", "?Cmd=SendMail&DeviceId=d&DeviceType=T",
			"MS-ASProtocolVersion: 12.1\r\nContent-Type: message/rfc822\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"));
	CHECK(has(hear(fd), "HTTP/1.1 100 Continue\r\n\r\n"));
	say(fd, "hello");
	CHECK(has(hear(fd), "body=rfc822 raw=5"));
	say(fd, "POST /nope HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	CHECK(has(hear(fd), "HTTP/1.1 404 "));
	close(fd);
	rig_stop(&rig);
}

CASE(conn_streams_a_large_mail_in_chunks)
{
	int fd;
	char block[4096];

	start();
	fd = dial(rig.port);
	memset(block, 'm', sizeof(block));
	say(fd, request("POST", "?Cmd=SendMail&DeviceId=d&DeviceType=T",
			"MS-ASProtocolVersion: 12.1\r\nContent-Type: message/rfc822\r\nTransfer-Encoding: chunked\r\n"));
	for (int i = 0; i < 500; i++) {
		say(fd, "1000\r\n");
		say_bytes(fd, slice(block, sizeof(block)));
		say(fd, "\r\n");
	}
	say(fd, "0\r\n\r\n");
	CHECK(has(hear(fd), "body=rfc822 raw=2048000"));
	close(fd);
	rig_stop(&rig);
}

CASE(conn_refuses_large_bodies)
{
	int fd;
	char block[4096];
	const char *got;

	rig_init(&rig);
	rig.config.body_bytes = 100000;
	rig_start(&rig, false);
	/* Announced. */
	fd = dial(rig.port);
	say(fd, request("POST", "?Cmd=SendMail&DeviceId=d&DeviceType=T", "MS-ASProtocolVersion: 12.1\r\nContent-Length: 200000\r\n"));
	CHECK(has(hear_all(fd), "HTTP/1.1 413 "));
	close(fd);
	/* Not announced: the reply still arrives, though the peer is sending. */
	fd = dial(rig.port);
	memset(block, 'm', sizeof(block));
	say(fd, request("POST", "?Cmd=SendMail&DeviceId=d&DeviceType=T", "MS-ASProtocolVersion: 12.1\r\nTransfer-Encoding: chunked\r\n"));
	for (int i = 0; i < 40; i++) {
		say(fd, "1000\r\n");
		say_bytes(fd, slice(block, sizeof(block)));
		say(fd, "\r\n");
	}
	got = hear_all(fd);
	CHECK(has(got, "HTTP/1.1 413 "));
	close(fd);
	/* Without a login nobody may store that much. */
	fd = dial(rig.port);
	say(fd, "POST " EAS "?Cmd=SendMail&DeviceId=d&DeviceType=T HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n");
	got = hear_all(fd);
	CHECK(has(got, "HTTP/1.1 401 ") && has(got, "WWW-Authenticate: Basic"));
	close(fd);
	rig_stop(&rig);
}

/* FolderSync with SyncKey 0. */
static const char foldersync[] = "\x03\x01\x6a\x00\x00\x07\x56\x52\x03\x30\x00\x01\x01";

CASE(conn_decodes_wbxml)
{
	int fd;

	start();
	fd = dial(rig.port);
	say(fd, request("POST", "?Cmd=FolderSync&DeviceId=d&DeviceType=T", "MS-ASProtocolVersion: 14.1\r\nContent-Length: 13\r\n"));
	say_bytes(fd, slice(foldersync, 13));
	CHECK(has(hear(fd), "body=decoded"));
	/* Of another command, and nonsense: read over, the command answers. */
	say(fd, request("POST", "?Cmd=Ping&DeviceId=d&DeviceType=T", "MS-ASProtocolVersion: 14.1\r\nContent-Length: 13\r\n"));
	say_bytes(fd, slice(foldersync, 13));
	CHECK(has(hear(fd), "body=bad"));
	say(fd, request("POST", "?Cmd=Ping&DeviceId=d&DeviceType=T", "MS-ASProtocolVersion: 14.1\r\nContent-Length: 6\r\n"));
	say(fd, "<Ping>");
	CHECK(has(hear(fd), "body=bad"));
	/* Cut short. */
	say(fd, request("POST", "?Cmd=FolderSync&DeviceId=d&DeviceType=T", "MS-ASProtocolVersion: 14.1\r\nContent-Length: 12\r\n"));
	say_bytes(fd, slice(foldersync, 12));
	CHECK(has(hear(fd), "body=bad"));
	/* No version anywhere: the command's first. */
	say(fd, request("POST", "?Cmd=Settings&DeviceId=d&DeviceType=T", "Content-Length: 0\r\n"));
	CHECK(has(hear(fd), "v=120? "));
	close(fd);
	rig_stop(&rig);
}

static struct slice gzip(struct slice in)
{
	z_stream z = { 0 };
	char *out = arena_alloc(test_arena(), in.len / 500 + 1000);

	CHECK(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_in = (Bytef *)in.ptr;
	z.avail_in = (uInt)in.len;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)(in.len / 500 + 1000);
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&z);
	return slice(out, z.total_out);
}

static const char *post_gzip(struct slice packed, const char *cmd)
{
	int fd = dial(rig.port);
	const char *got;

	say(fd, request("POST", arena_printf(test_arena(), "?Cmd=%s&DeviceId=d&DeviceType=T", cmd).ptr,
			arena_printf(test_arena(), "MS-ASProtocolVersion: 12.1\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n", packed.len).ptr));
	say_bytes(fd, packed);
	got = hear(fd);
	close(fd);
	return got;
}

CASE(conn_unpacks_gzip_and_stops_a_bomb)
{
	char *zeros = calloc(1, 4 << 20);

	rig_init(&rig);
	rig.config.body_bytes = 1 << 20;
	rig_start(&rig, false);
	CHECK(has(post_gzip(gzip(slice(foldersync, 13)), "FolderSync"), "body=decoded"));
	CHECK(has(post_gzip(slice_to(gzip(slice(foldersync, 13)), 20), "FolderSync"), "body=bad"));
	CHECK(has(post_gzip(S("no gzip at all"), "FolderSync"), "body=bad"));
	CHECK(has(post_gzip(gzip(slice(zeros, 4 << 20)), "SendMail"), "HTTP/1.1 413 "));
	free(zeros);
	rig_stop(&rig);
}

CASE(conn_writes_a_large_reply_to_a_slow_reader)
{
	int fd, small = 16 * 1024;
	const char *got;

	start();
	fd = dial(rig.port);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	say(fd, request("POST", "?Cmd=Sync&DeviceId=big&DeviceType=T", "Content-Length: 0\r\nConnection: close\r\n"));
	got = hear_all(fd);
	CHECK(has(got, "Content-Length: 3000000\r\n"));
	got = strstr(got, "\r\n\r\n") + 4;
	CHECK_INT(strlen(got), 3000000);
	for (size_t i = 0; i < 3000000; i++)
		if (got[i] != (char)('a' + i % 1000 % 26))
			test_fail(__FILE__, __LINE__, "byte %zu", i);
	close(fd);
	rig_stop(&rig);
}

CASE(conn_reads_a_spilled_reply_ahead)
{
	int fd, probe;
	struct jobs_stats jobs;
	const char *got;

	rig_init(&rig);
	probe = open(rig.dir, O_TMPFILE | O_RDWR, 0600);
	if (probe < 0) {
		rmdir(rig.dir);
		test_skip("no O_TMPFILE here");
	}
	close(probe);
	blob_set_dir(rig.dir);
	rig_start(&rig, false);
	fd = dial(rig.port);
	say(fd, request("POST", "?Cmd=Sync&DeviceId=disk&DeviceType=T", "Content-Length: 0\r\nConnection: close\r\n"));
	got = strstr(hear_all(fd), "\r\n\r\n") + 4;
	CHECK_INT(strlen(got), 6000000);
	for (size_t i = 0; i < 6000000; i++)
		if (got[i] != (char)('a' + i % 1000 % 26))
			test_fail(__FILE__, __LINE__, "byte %zu", i);
	jobs_stats(loop_jobs(rig.l), &jobs);
	printf("# %llu jobs for it\n", (unsigned long long)jobs.finished[JOB_COMMAND]);
	close(fd);
	rig_stop(&rig);
	blob_set_dir(NULL);
}

CASE(conn_gives_up_on_slow_peers)
{
	int fd, fd2, fd3;

	rig_init(&rig);
	rig.config.head_ms = rig.config.body_ms = rig.config.write_ms = 300;
	rig_start(&rig, false);
	fd = dial(rig.port);
	say(fd, "POST / HTTP/1.1\r\nHost:");
	fd2 = dial(rig.port);
	say(fd2, request("POST", "?Cmd=FolderSync&DeviceId=d&DeviceType=T", "Content-Length: 13\r\n"));
	say(fd2, "\x03");
	fd3 = dial(rig.port); /* says nothing at all */
	CHECK(has(hear_all(fd), "HTTP/1.1 408 "));
	CHECK(has(hear_all(fd2), "HTTP/1.1 408 "));
	CHECK_STR(slice_str(hear_all(fd3)), "");
	close(fd);
	close(fd2);
	close(fd3);
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

CASE(conn_survives_a_peer_that_vanishes_at_any_byte)
{
	const char *text = request("POST", "?Cmd=FolderSync&DeviceId=d&DeviceType=T", "Content-Length: 13\r\n");
	struct linger reset = { 1, 0 };
	size_t len;
	char *all;

	start();
	len = strlen(text) + 13;
	all = arena_alloc(test_arena(), len);
	memcpy(all, text, len - 13);
	memcpy(all + len - 13, foldersync, 13);
	for (size_t cut = 0; cut <= len; cut++) {
		int fd = dial(rig.port);

		say_bytes(fd, slice(all, cut));
		if (cut & 1)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	wait_connections(0);
	CHECK(has(once(request("OPTIONS", "", "Connection: close\r\n")), "method=3"));
	rig_stop(&rig);
}

CASE(conn_counts_answers_that_come_too_late)
{
	int fd;
	struct linger reset = { 1, 0 };

	start();
	fd = dial(rig.port);
	say(fd, post("gate"));
	sem_wait(&rig.entered);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	wait_connections(0);
	sem_post(&rig.gate);
	for (int i = 0; i < 1000 && !stats.late_answers; i++)
		rig_on_loop(&rig, read_stats);
	CHECK_INT(stats.late_answers, 1);
	CHECK_INT(stats.exchanges_running, 0);
	rig_stop(&rig);
}

CASE(conn_answers_a_half_closed_peer)
{
	int fd;

	start();
	fd = dial(rig.port);
	say(fd, post("gate"));
	shutdown(fd, SHUT_WR);
	sem_wait(&rig.entered);
	sem_post(&rig.gate);
	CHECK(has(hear_all(fd), "cmd=Ping"));
	close(fd);
	rig_stop(&rig);
}

CASE(conn_parks_and_is_answered)
{
	int fd;

	start();
	fd = dial(rig.port);
	for (unsigned i = 1; i <= 3; i++) {
		const char *got;

		say(fd, post("park"));
		rig_wait(&rig, &rig.parks, i);
		CHECK(rig_answer(&rig));
		got = hear(fd);
		CHECK(has(got, "Content-Length: 5\r\n") && has(got, "application/vnd.ms-sync.wbxml\r\n") && has(got, "\r\n\r\nwoken"));
		CHECK(!rig_answer(&rig)); /* an answer given twice misses */
	}
	CHECK_INT(rig.befores, 3);
	close(fd);
	rig_stop(&rig);
}

CASE(conn_limits_what_one_user_has_open)
{
	int a, b, c;
	const char *got;

	rig_init(&rig);
	rig.config.connections_per_user = 2;
	rig_start(&rig, false);
	a = dial(rig.port);
	b = dial(rig.port);
	c = dial(rig.port);
	say(a, post("own-park"));
	rig_wait(&rig, &rig.parks, 1);
	say(b, post("own-d"));
	CHECK(has(hear(b), "Connection: keep-alive"));
	say(b, post("own-d")); /* the same one again is no further one */
	CHECK(has(hear(b), "Connection: keep-alive"));
	say(c, post("stranger")); /* whoever did not prove who he is takes no share */
	CHECK(has(hear(c), "Connection: keep-alive"));
	say(c, post("own-d"));
	got = hear_all(c);
	CHECK(has(got, "200 OK") && has(got, "Connection: close"));
	close(c);
	c = dial(rig.port);
	say(c, post("own-park"));
	got = hear_all(c);
	CHECK(has(got, "503 ") && has(got, "Retry-After:"));
	close(c);
	CHECK_INT(rig.parks, 1);
	close(b);
	wait_connections(1);
	c = dial(rig.port);
	say(c, post("own-park"));
	rig_wait(&rig, &rig.parks, 2);
	close(a);
	close(c);
	rig_stop(&rig);
}

CASE(conn_tells_when_a_parked_peer_hangs_up)
{
	int fd;

	start();
	fd = dial(rig.port);
	say(fd, post("park"));
	rig_wait(&rig, &rig.parks, 1);
	close(fd);
	rig_wait(&rig, &rig.drops, 1);
	CHECK(!rig_answer(&rig));
	rig_stop(&rig);
}

CASE(conn_answers_the_parked_request_before_the_next)
{
	int fd;

	rig_init(&rig);
	rig.answer_hurried = true;
	rig_start(&rig, false);
	fd = dial(rig.port);
	say(fd, post("park"));
	rig_wait(&rig, &rig.parks, 1);
	say(fd, "\r\n"); /* a line end behind a body is no request */
	say(fd, post("d"));
	CHECK(has(hear(fd), "hurried"));
	CHECK(has(hear(fd), "cmd=Ping"));
	/* Both in one packet. */
	say(fd, arena_printf(test_arena(), "%s%s", post("park"), post("d")).ptr);
	CHECK(has(hear(fd), "hurried"));
	CHECK(has(hear(fd), "cmd=Ping"));
	CHECK_INT(rig.hurries, 2);
	close(fd);
	rig_stop(&rig);
}

CASE(conn_limits_one_address)
{
	int fd[4];
	char c;

	rig_init(&rig);
	rig.config.connections_per_address = 3;
	rig_start(&rig, false);
	for (int i = 0; i < 4; i++)
		fd[i] = dial(rig.port);
	CHECK_INT(recv(fd[3], &c, 1, 0), 0);
	close(fd[0]);
	wait_connections(2);
	close(fd[3]);
	fd[3] = dial(rig.port);
	say(fd[3], post("d"));
	CHECK(has(hear(fd[3]), "cmd=Ping"));
	for (int i = 1; i < 4; i++)
		close(fd[i]);
	rig_stop(&rig);
}

CASE(conn_proxy_line_names_the_peer)
{
	static const uint8_t v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\x01\x02\x03\x04\x11\x22\x01\xbb";
	int fd;

	rig_init(&rig);
	rig.config.proxy_protocol = true;
	CHECK(net_block_parse(S("127.0.0.0/8"), &rig.config.proxies[0]));
	rig.config.n_proxies = 1;
	rig_start(&rig, false);
	fd = dial(rig.port);
	say(fd, "PROXY TCP4 192.0.2.9 10.0.0.1 1234 443\r\n");
	say(fd, post("d"));
	CHECK(has(hear(fd), "peer=192.0.2.9"));
	close(fd);
	fd = dial(rig.port);
	for (size_t i = 0; i < sizeof(v2) - 1; i++)
		say_bytes(fd, slice(v2 + i, 1));
	say(fd, post("d"));
	CHECK(has(hear(fd), "peer=198.51.100.7"));
	close(fd);
	CHECK_STR(slice_str(once(post("d"))), ""); /* no PROXY line: closed */
	rig_stop(&rig);
}

CASE(conn_trusts_forwarded_for_of_a_proxy_only)
{
	const char *h = "X-Forwarded-For: 1.1.1.1, 203.0.113.5\r\nX-Forwarded-Proto: https\r\nContent-Length: 0\r\nConnection: close\r\n";

	start();
	CHECK(has(once(request("POST", "?Cmd=Ping&DeviceId=d&DeviceType=T", h)), "peer=127.0.0.1 tls=0"));
	rig_stop(&rig);
	rig_init(&rig);
	CHECK(net_block_parse(S("127.0.0.1"), &rig.config.proxies[0]));
	rig.config.n_proxies = 1;
	rig_start(&rig, false);
	CHECK(has(once(request("POST", "?Cmd=Ping&DeviceId=d&DeviceType=T", h)), "peer=203.0.113.5 tls=1"));
	rig_stop(&rig);
}

static void drain(struct rig *r)
{
	loop_drain(r->l);
}

CASE(conn_drain_ends_the_loop)
{
	int idle, busy;

	start();
	idle = dial(rig.port);
	say(idle, post("d"));
	hear(idle);
	busy = dial(rig.port);
	say(busy, post("gate"));
	sem_wait(&rig.entered);
	sem_wait(&rig.entered);
	rig_on_loop(&rig, drain);
	CHECK_STR(slice_str(hear_all(idle)), "");
	sem_post(&rig.gate);
	CHECK(has(hear_all(busy), "Connection: close"));
	close(idle);
	close(busy);
	rig_stop(&rig); /* joins the thread: loop_run has ended by itself */
}

CASE(conn_reads_latin1_and_utf8_passwords)
{
	struct arena *a = test_arena();
	struct slice l, p;

	/* "Jörg:pässword" in Latin-1, then in UTF-8; a password with a colon. */
	CHECK(basic_auth(a, S("Basic SvZyZzpw5HNzd29yZA=="), &l, &p));
	CHECK_STR(l, "J\xc3\xb6rg");
	CHECK_STR(p, "p\xc3\xa4ssword");
	CHECK(basic_auth(a, S("basic SsO2cmc6cMOkc3N3b3Jk"), &l, &p));
	CHECK_STR(l, "J\xc3\xb6rg");
	CHECK_STR(p, "p\xc3\xa4ssword");
	CHECK(basic_auth(a, S("Basic dTphOmI="), &l, &p));
	CHECK_STR(p, "a:b");
	CHECK(basic_auth(a, S("Basic dTo="), &l, &p));
	CHECK_STR(p, "");
	CHECK(!basic_auth(a, S("Basic OnA="), &l, &p));  /* no user */
	CHECK(!basic_auth(a, S("Basic dQ=="), &l, &p));  /* no colon */
	CHECK(!basic_auth(a, S("Basic !!!"), &l, &p));
	CHECK(!basic_auth(a, S("Bearer dTpw"), &l, &p));
	CHECK(!basic_auth(a, S("Basic dTpwAHE="), &l, &p)); /* NUL */
}

CASE(conn_parked_costs_little)
{
	enum { PHONES = 1000 };
	static int fd[PHONES];
	const char *text = post("park");
	size_t before, each;

	if (mallinfo2().uordblks == 0)
		test_skip("this allocator does not count");
	start();
	/* The workers' first use of their arenas is not the phones'. */
	fd[0] = dial(rig.port);
	say(fd[0], text);
	rig_wait(&rig, &rig.parks, 1);
	before = mallinfo2().uordblks;
	for (int i = 1; i < PHONES; i++) {
		fd[i] = dial(rig.port);
		say(fd[i], text);
	}
	rig_wait(&rig, &rig.parks, PHONES);
	rig_on_loop(&rig, read_stats);
	CHECK_INT(stats.parked, PHONES);
	each = (mallinfo2().uordblks - before) / (PHONES - 1);
	printf("# a parked phone: struct %zu bytes, heap %zu bytes\n", stats.bytes_per_parked, each);
	CHECK(each <= 400); /* the push registry adds its waiter; aim 512 in all */
	for (int i = 0; i < PHONES; i++)
		close(fd[i]);
	wait_connections(0);
	rig_stop(&rig);
}

CASE(conn_drops_peers_when_descriptors_run_out)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct rlimit old, few;
	struct timeval limit = { 10, 0 };
	int in, fd[6];
	char c;

	start();
	sa.sin_port = htons((uint16_t)rig.port);
	in = dial(rig.port);
	say(in, post("d"));
	CHECK(has(hear(in), "cmd=Ping"));
	for (int i = 0; i < 6; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	}
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few = old;
	few.rlim_cur = (rlim_t)fd[5] + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	/* The kernel takes them into the backlog; we have no descriptor for them. */
	for (int i = 0; i < 6; i++)
		CHECK(connect(fd[i], (struct sockaddr *)&sa, sizeof(sa)) == 0);
	for (int i = 0; i < 6; i++)
		CHECK(recv(fd[i], &c, 1, 0) <= 0);
	say(in, post("d")); /* who is in is served all the same */
	CHECK(has(hear(in), "cmd=Ping"));
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
	close(in);
	wait_connections(0);
	CHECK(has(once(request("OPTIONS", "", "Connection: close\r\n")), "method=3"));
	rig_on_loop(&rig, read_stats);
	CHECK_INT(stats.refused_limit, 6);
	rig_stop(&rig);
}
