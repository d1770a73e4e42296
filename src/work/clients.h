/* clients.h - what is known of families of clients: [[client]] of zpushd.toml,
 * then the built-in rows of clients.def, the first match wins.
 * Compiled with each snapshot of the settings; read-only, any thread. */
#ifndef WORK_CLIENTS_H
#define WORK_CLIENTS_H

#include "backend/backend.h"
#include "base/settings.h"

struct body_want; /* proto/bodypick.h */

enum client_quirk {
	QUIRK_NO_GZIP = 1 << 0,      /* replies go unpacked, whatever Accept-Encoding says */
	QUIRK_NO_PROVISION = 1 << 1, /* loose mode: never asked to provision, because it cannot */
};

struct clients;

/* What one request of one device is served by: the settings for everybody with the
 * matching rule over them. */
struct client_traits {
	struct slice rule;         /* its name; empty: no rule matched */
	int max_version;           /* enum eas_version */
	int64_t heartbeat_min_ms, heartbeat_max_ms;
	int64_t answer_ms;         /* a Sync answers what it has after this */
	size_t window;             /* highest WindowSize */
	uint64_t truncation;       /* highest TruncationSize; BODY_UNLIMITED */
	bool default_folders_only; /* it cannot show others */
	unsigned quirks;           /* enum client_quirk */
};

/* -1 ERR_CONFIG names the rule and the word that is wrong. */
int clients_new(struct clients **c_r, struct settings *set, struct err *e);
void clients_free(struct clients **c);
/* version: enum eas_version of the request, 0 when it has none (OPTIONS). Names point
 * into `c`. */
void clients_find(const struct clients *c, struct slice type, struct slice agent, int version,
		  struct client_traits *t_r);
/* Caps every size in `w`; its preferences become a copy in the arena, because those
 * it points at are remembered as the phone said them. */
void clients_cap_body(const struct client_traits *t, struct arena *a, struct body_want *w);
/* Is a folder of this type shown? */
bool clients_shows(const struct client_traits *t, enum folder_type type);

#endif
