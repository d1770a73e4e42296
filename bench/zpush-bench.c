/* zpush-bench.c - options of the simulated fleet; see README.md in this room. */
#include "fleet.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <mbedtls/ssl.h>
#include <stdlib.h>

static const char help[] =
	"zpush-bench --port N [option]...\n"
	"A fleet of simulated phones (protocol 14.1): each provisions, syncs its folders and\n"
	"its inbox and waits in Ping. Then stdin says what is next: ping N | sync N |\n"
	"connect N resume|full | count | quit.\n\n"
	"  --host A          127.0.0.1     address of the server\n"
	"  --port N                        its port\n"
	"  --tls                           TLS 1.2; no certificate is checked\n"
	"  --phones N        1\n"
	"  --users N         1             phone i is user i modulo N\n"
	"  --user FORMAT     user%u        login, counted from 1\n"
	"  --password TEXT   secret        of all\n"
	"  --device FORMAT   bench%u       device id, counted from 0\n"
	"  --source A                      source address of the first phone; counted up\n"
	"  --parallel N      32            phones that set up at once\n"
	"  --window N        100\n"
	"  --truncation N    1024          bytes of a plain text body\n"
	"  --heartbeat N     3540          seconds\n";

static const struct option names[] = {
	{ "host", required_argument, NULL, 'h' }, { "port", required_argument, NULL, 'p' },
	{ "tls", no_argument, NULL, 't' }, { "phones", required_argument, NULL, 'n' },
	{ "users", required_argument, NULL, 'u' }, { "user", required_argument, NULL, 'U' },
	{ "password", required_argument, NULL, 'P' }, { "device", required_argument, NULL, 'd' },
	{ "source", required_argument, NULL, 's' }, { "parallel", required_argument, NULL, 'j' },
	{ "window", required_argument, NULL, 'w' }, { "truncation", required_argument, NULL, 'T' },
	{ "heartbeat", required_argument, NULL, 'b' }, { "help", no_argument, NULL, '?' }, { 0 },
};

static unsigned number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n == 0 || n > 10000000) {
		fprintf(stderr, "zpush-bench: not a number above 0: %s\n", text);
		exit(2);
	}
	return (unsigned)n;
}

static struct in_addr address(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1) {
		fprintf(stderr, "zpush-bench: not an IPv4 address: %s\n", text);
		exit(2);
	}
	return a;
}

/* A format comes from the command line: nothing but one %u. */
static const char *format(const char *text)
{
	const char *at = strchr(text, '%');

	if (at && (at[1] != 'u' || strchr(at + 1, '%'))) {
		fprintf(stderr, "zpush-bench: only one %%u: %s\n", text);
		exit(2);
	}
	return text;
}

static void read_option(struct fleet_options *o, int c, bool *tls)
{
	switch (c) {
	case 'h': o->wire.server.sin_addr = address(optarg); break;
	case 'p': o->wire.server.sin_port = htons((uint16_t)number(optarg)); break;
	case 't': *tls = true; break;
	case 'n': o->phones = number(optarg); break;
	case 'u': o->users = number(optarg); break;
	case 'U': o->user = format(optarg); break;
	case 'P': o->password = optarg; break;
	case 'd': o->device = format(optarg); break;
	case 's': o->source = ntohl(address(optarg).s_addr); break;
	case 'j': o->parallel = number(optarg); break;
	case 'w': o->window = number(optarg); break;
	case 'T': o->truncation = number(optarg); break;
	case 'b': o->heartbeat = number(optarg); break;
	default:
		fputs(help, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct fleet_options o = {
		.user = "user%u", .password = "secret", .device = "bench%u", .phones = 1, .users = 1, .parallel = 32,
		.window = 100, .truncation = 1024, .heartbeat = 3540,
		.wire.server = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
	};
	struct mbedtls_ssl_config *tls_config = NULL;
	struct fleet f;
	bool tls = false;
	int c, rc;

	while ((c = getopt_long(argc, argv, "", names, NULL)) >= 0)
		read_option(&o, c, &tls);
	if (optind < argc || !o.wire.server.sin_port) {
		fputs(help, stderr);
		return 2;
	}
	if (tls && peer_tls_config(&tls_config) < 0) {
		fprintf(stderr, "zpush-bench: TLS configuration\n");
		return 1;
	}
	o.wire.tls = tls_config;
	if (fleet_init(&f, &o) < 0) {
		perror("zpush-bench");
		return 1;
	}
	fleet_run(&f);
	rc = f.n.failed ? 1 : 0;
	fleet_deinit(&f);
	if (tls_config)
		mbedtls_ssl_config_free(tls_config);
	free(tls_config);
	return rc;
}
