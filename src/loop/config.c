/* config.c - the loop's limits out of the settings. Pure; before the loop runs. */
#include <arpa/inet.h>
#include <stdio.h>

#include "loop/loop.h"

void loop_config_default(struct loop_config *c)
{
	*c = (struct loop_config){
		.workers = 128,
		.queue_max = 4096,
		.connections_per_address = 20000,
		.connections_per_user = 64,
		.descriptor_reserve = 1024,
		.head_bytes = 32 * 1024,
		.head_count = 100,
		.body_bytes = 64 << 20,
		.body_memory = 256 * 1024,
		.wbxml_depth = 64,
		.wbxml_elements = 200000,
		.wbxml_string = 4 << 20,
		.wbxml_opaque = 64 << 20,
		.idle_ms = 75000,
		.head_ms = 20000,
		.body_ms = 60000,
		.write_ms = 120000,
		.handshake_ms = 15000,
		.request_ms = 50000,
		.job_wait_ms = { [JOB_COMMAND] = 15000, [JOB_CHECK] = 300000, [JOB_BACKGROUND] = 600000 },
		.keepalive_ms = 240000,
		.drain_ms = 20000,
		.handshakes = 512,
		.version_max = 141,
	};
}

bool net_block_parse(struct slice s, struct net_block *b_r)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[64];
	struct slice addr = s, bits = S_NONE;
	ptrdiff_t slash = slice_chr(s, '/');
	uint64_t n;
	unsigned max;

	if (slash >= 0) {
		addr = slice_to(s, (size_t)slash);
		bits = slice_from(s, (size_t)slash + 1);
	}
	if (addr.len == 0 || addr.len >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", SARG(addr));
	if (inet_pton(AF_INET, text, b_r->addr + 12) == 1) {
		memcpy(b_r->addr, mapped, sizeof(mapped));
		max = 32;
	} else if (inet_pton(AF_INET6, text, b_r->addr) == 1) {
		max = 128;
	} else {
		return false;
	}
	n = max;
	if (slash >= 0 && (!slice_u64(bits, &n) || n > max))
		return false;
	b_r->bits = (uint8_t)(n + 128 - max);
	return true;
}

static int load_proxies(struct loop_config *c, const struct settings *s, struct err *e)
{
	const struct slice *v;
	size_t n = settings_list(s, "server.trusted_proxies", &v);

	if (n > LOOP_MAX_PROXIES)
		return err_set(e, ERR_CONFIG, "server.trusted_proxies: more than %d", LOOP_MAX_PROXIES);
	for (size_t i = 0; i < n; i++)
		if (!net_block_parse(v[i], &c->proxies[i]))
			return err_set(e, ERR_CONFIG, "server.trusted_proxies: \"%.*s\" is no address or network", SARG(v[i]));
	c->n_proxies = n;
	return 0;
}

int loop_config_load(struct loop_config *c, const struct settings *s, struct err *e)
{
	loop_config_default(c);
	c->workers = (unsigned)settings_int(s, "server.workers");
	c->queue_max = (unsigned)settings_int(s, "limits.queue");
	c->connections = (unsigned)settings_int(s, "limits.connections");
	c->connections_per_address = (unsigned)settings_int(s, "limits.connections_per_address");
	c->connections_per_user = (unsigned)settings_int(s, "limits.connections_per_user");
	c->head_bytes = (uint32_t)settings_bytes(s, "limits.header_bytes");
	c->body_bytes = settings_bytes(s, "limits.body_bytes");
	c->body_memory = (uint32_t)settings_bytes(s, "limits.memory_bytes");
	c->wbxml_depth = (uint32_t)settings_int(s, "limits.wbxml_depth");
	c->wbxml_elements = (uint32_t)settings_int(s, "limits.wbxml_elements");
	c->wbxml_string = settings_bytes(s, "limits.wbxml_string");
	c->wbxml_opaque = settings_bytes(s, "limits.wbxml_opaque");
	c->idle_ms = settings_ms(s, "limits.idle_timeout");
	c->head_ms = settings_ms(s, "limits.header_timeout");
	c->body_ms = settings_ms(s, "limits.body_timeout");
	c->write_ms = settings_ms(s, "limits.write_timeout");
	c->handshake_ms = settings_ms(s, "limits.handshake_timeout");
	c->request_ms = settings_ms(s, "limits.command_deadline");
	c->job_wait_ms[JOB_COMMAND] = settings_ms(s, "limits.command_wait");
	c->job_wait_ms[JOB_CHECK] = settings_ms(s, "limits.check_wait");
	c->job_wait_ms[JOB_BACKGROUND] = settings_ms(s, "limits.background_wait");
	c->job_wait_ms[JOB_HANDSHAKE] = c->handshake_ms;
	c->keepalive_ms = settings_ms(s, "server.keepalive");
	c->drain_ms = settings_ms(s, "server.drain");
	c->handshakes = (unsigned)settings_int(s, "limits.handshakes");
	c->proxy_protocol = settings_bool(s, "server.proxy_protocol");
	return load_proxies(c, s, e);
}
