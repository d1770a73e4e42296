/* keys.h - every name in the store and on its channels is made here. Pure; any
 * thread; results in the arena (or the argument itself when nothing is escaped).
 *
 * Public format, version 1. PREFIX is store.prefix (default "zpush:"); USER the
 * canonical user name, in braces: the hash tag of Redis Cluster.
 *
 *   PREFIX rec:{USER}:NAME   a record (layout: store_redis.c). NAME is one of
 *                            user  dev:DEV  col:DEV:FOLDER  sent:DEV:CLIENTID
 *                            extra:FOLDER  moved:DEV; or claim:DEV, a claim
 *   PREFIX gen:{USER}        change counter: a decimal, INCR by hooks
 *   PREFIX push:{USER}       channel of change messages
 *   PREFIX idx:{USER}        set of the NAMEs of that user's records
 *   PREFIX epoch             what a flush or fail-over changes
 *
 * In USER control bytes, percent signs and braces are written as %XX (upper-case
 * hex), in the parts of NAME colons too; everything else stands for itself, UTF-8
 * included. A hook whose users have none of those bytes needs no encoding. */
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
struct slice key_moved(struct arena *a, struct slice device_id);                         /* moved:ID */

/* Full Redis names. */
struct slice key_record(struct arena *a, struct slice prefix, struct slice user, struct slice key);
struct slice key_gen(struct arena *a, struct slice prefix, struct slice user);     /* zpush:gen:{user} */
struct slice key_index(struct arena *a, struct slice prefix, struct slice user);   /* zpush:idx:{user} */
struct slice key_channel(struct arena *a, struct slice prefix, struct slice user); /* zpush:push:{user} */
struct slice key_epoch(struct arena *a, struct slice prefix);                      /* zpush:epoch */
/* Pattern for PSUBSCRIBE of all users' channels. */
struct slice key_channels(struct arena *a, struct slice prefix);
/* Pattern for SCAN of all users' indexes. */
struct slice key_indexes(struct arena *a, struct slice prefix);
/* The user of a channel or record name; false when it is none of ours. */
bool key_user_of(struct arena *a, struct slice prefix, struct slice name, struct slice *user_r, struct slice *kind_r);

/* A record name taken apart: kind "col", parts { DEV, FOLDER }. *n_parts: room in,
 * used out. False when it is none of ours or has more parts. */
bool key_split(struct arena *a, struct slice key, struct slice *kind_r, struct slice *parts, size_t *n_parts);

#endif
