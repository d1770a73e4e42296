/* trace.h - the wire trace of single devices: each exchange as readable XML in
 * data_dir/trace/DEVICE.log, on by log.trace_devices or `zpushd admin trace on`.
 *
 * trace_wants: any thread, an atomic read while nothing is traced. trace_write:
 * worker. The file is 0600, holds mail but no passwords, and begins anew past
 * log.trace_bytes; what was there before is DEVICE.log.1. All take NULL. */
#ifndef WORK_TRACE_H
#define WORK_TRACE_H

#include "base/settings.h"
#include "work/exchange.h"

enum { TRACE_BODY_MAX = 1024 * 1024 }; /* of a request's body that is kept for it */

struct trace;

struct trace *trace_new(const struct settings *set);
void trace_free(struct trace **t);
/* log.trace_devices and log.trace_bytes anew; what the admin switched stays as it is. */
void trace_configure(struct trace *t, const struct settings *set);
/* -1 when too many are traced. */
int trace_switch(struct trace *t, struct slice device, bool on, struct err *e);
bool trace_wants(struct trace *t, struct slice device);
/* The same of a work, which may be NULL: for the loop, which cannot look into it. */
bool trace_wanted(const struct work *w, struct slice device);
/* The traced ones, one a line. */
void trace_list(struct trace *t, struct blob *out);
/* r->traced: the body as it came; may be NULL. */
void trace_write(struct trace *t, const struct request *r, const struct verdict *v, int64_t wall_ms);
/* Name of a device's file below data_dir/trace. */
struct slice trace_file_name(struct arena *a, struct slice device);

#endif
