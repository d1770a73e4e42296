/* url.c - addresses of servers from settings. Any thread. */
#include "backend/url.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

static char *join(struct slice host, bool v6, struct slice port)
{
	char *z = mem_alloc(host.len + port.len + 4);

	sprintf(z, v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", SARG(host), SARG(port));
	return z;
}

static int tcp(struct slice rest, const char *default_port, struct url *u)
{
	struct slice host, port = slice_str(default_port);
	ptrdiff_t end = slice_chr(rest, '/');
	bool v6 = rest.len && rest.ptr[0] == '[';
	uint64_t n;

	if (end >= 0 && (size_t)end + 1 != rest.len)
		return -1; /* a path means nothing here */
	if (end >= 0)
		rest = slice_to(rest, (size_t)end);
	end = slice_chr(rest, v6 ? ']' : ':');
	host = end < 0 ? rest : slice_to(rest, (size_t)end);
	if (v6) {
		if (end < 0)
			return -1;
		host = slice_from(host, 1);
		rest = slice_from(rest, (size_t)end + 1);
		end = slice_chr(rest, ':');
	}
	if (end >= 0)
		port = slice_from(rest, (size_t)end + 1);
	if (!host.len || host.len > 250 || !slice_u64(port, &n) || n == 0 || n > 65535)
		return -1;
	u->host = mem_str(host);
	u->address = join(host, v6, port);
	return 0;
}

int url_parse(struct slice s, const struct url_scheme *schemes, size_t n, struct url *u_r)
{
	*u_r = (struct url){ 0 };
	for (size_t i = 0; i < n; i++) {
		struct slice name = slice_str(schemes[i].name);
		struct slice rest = slice_from(s, name.len);

		if (!slice_istarts(s, name))
			continue;
		u_r->scheme = schemes[i].value;
		if (schemes[i].port && slice_starts(rest, S("://")))
			return tcp(slice_from(rest, 3), schemes[i].port, u_r);
		if (!schemes[i].port && slice_starts(rest, S(":/"))) {
			u_r->address = mem_alloc(rest.len + 8);
			sprintf(u_r->address, "unix:%.*s", SARG(slice_from(rest, 1)));
			return 0;
		}
	}
	return -1;
}

int url_tls(struct stream_tls **t_r, const struct settings *set, struct err *e)
{
	struct slice ca = settings_str(set, "net.tls_ca");
	char *file = ca.len ? mem_str(ca) : NULL;
	int rc = stream_tls_new(t_r, file, settings_bool(set, "net.tls_verify"), e);

	free(file);
	return rc;
}
