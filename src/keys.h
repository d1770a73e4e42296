/* keys.h - every name in the store and on its channels is made here.
 * Public format, version 1: prefix (store.prefix) + kind + ":" + {user}. The
 * user stands in braces, the hash tag of Redis Cluster; braces, percent signs,
 * and control bytes in a user name are percent-encoded. Pure; any thread. */
#ifndef KEYS_H
#define KEYS_H

#include "base/arena.h"

/* Names of records below a user, as struct store_get.key. */
#define KEY_USER      "user"     /* folder map and what concerns all devices */
#define KEY_EXTRA     "extra"    /* what the mail server cannot keep: flag details … + ":" + folder id */
struct slice key_device(struct arena *a, struct slice device_id);                        /* dev:ID */
struct slice key_collection(struct arena *a, struct slice device_id, struct slice folder_id); /* col:ID:FOLDER */
struct slice key_claim(struct arena *a, struct slice device_id);                         /* claim:ID */
struct slice key_sent(struct arena *a, struct slice device_id, struct slice client_id);  /* sent:ID:CLIENTID */
struct slice key_extra(struct arena *a, struct slice folder_id);                         /* extra:FOLDER */

/* Full Redis names. */
struct slice key_record(struct arena *a, struct slice prefix, struct slice user, struct slice key);
struct slice key_gen(struct arena *a, struct slice prefix, struct slice user);     /* zpush:gen:{user} */
struct slice key_channel(struct arena *a, struct slice prefix, struct slice user); /* zpush:push:{user} */
struct slice key_epoch(struct arena *a, struct slice prefix);                      /* zpush:epoch */
/* The user of a channel or record name; false when it is none of ours. */
bool key_user_of(struct arena *a, struct slice prefix, struct slice name, struct slice *user_r, struct slice *kind_r);

#endif
