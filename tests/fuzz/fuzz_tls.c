/* fuzz_tls.c - the handshake engine and what looks at a hello before it: any
 * bytes in any split end in "more" or "failed", with nothing left behind. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/tls.h"

static struct tls_server *server;

static int64_t still(void *self)
{
	(void)self;
	return (int64_t)1800000000 * 1000;
}

static void counting(void *self, void *p, size_t n)
{
	static unsigned char c;

	(void)self;
	for (size_t i = 0; i < n; i++)
		((unsigned char *)p)[i] = (unsigned char)(++c * 37);
}

static const struct clock clock_still = { still, still, NULL };
static const struct rnd rnd_counting = { counting, NULL };

static void make_server(void)
{
	char dir[] = "/tmp/fuzz_tls.XXXXXX", path[64];
	struct tls_options o = { .min_version = "1.0", .secret = S("fuzz"), .clock = &clock_still, .rnd = &rnd_counting };
	struct err e;

	log_open("/dev/null", LOG_ERROR, LOG_LOGFMT, NULL);
	o.data_dir = mkdtemp(dir);
	if (!o.data_dir || tls_server_new(&server, &o, &e) < 0)
		abort();
	snprintf(path, sizeof(path), "%s/tls.crt", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/tls.key", dir);
	unlink(path);
	rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tls_engine *t;
	size_t step;

	if (!server)
		make_server();
	if (len < 2)
		return 0;
	step = 1 + data[0];
	t = tls_engine_new(server);
	for (size_t off = 1; off < len; off += step) {
		size_t n = len - off < step ? len - off : step;
		struct err e;

		if (tls_engine_feed(t, slice(data + off, n)) < 0)
			break;
		if (tls_engine_cost(t) == TLS_WAIT)
			continue;
		if (tls_engine_step(t, &e) != TLS_MORE)
			break;
	}
	tls_engine_free(&t);
	return 0;
}
