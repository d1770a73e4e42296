/* policy.h - policies for phones, from the settings policy.*.
 * Made with each snapshot of the settings; read-only, any thread. */
#ifndef WORK_POLICY_H
#define WORK_POLICY_H

#include "base/settings.h"
#include "proto/cmd_provision.h"

enum policy_mode { POLICY_OFF, POLICY_LOOSE, POLICY_STRICT };

struct policies;

/* -1 ERR_CONFIG names the key whose value is out of bounds. */
int policies_new(struct policies **p_r, struct settings *set, struct err *e);
void policies_free(struct policies **p);
enum policy_mode policies_mode(const struct policies *p, struct slice user);
/* Did the admin set anything for this user? Without it there is nothing to insist on. */
bool policies_configured(const struct policies *p, struct slice user);
/* The document of this user, in the arena: never empty (a lock code that is not
 * required is said too, so that an older policy ends). *hash_r changes with it,
 * is never 0; policies_hash is that alone, at no cost for a user without settings of his own. */
struct policy *policies_for(const struct policies *p, struct arena *a, struct slice user, uint64_t *hash_r);
uint64_t policies_hash(const struct policies *p, struct arena *a, struct slice user);

#endif
