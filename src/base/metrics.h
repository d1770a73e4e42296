/* metrics.h - process-wide counters and gauges (relaxed atomics). Any thread.
 * The only global state beside the log: a number has no owner. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

enum metric {
#define X(name, type, help) M_##name,
#include "base/metrics.def"
#undef X
	M_COUNT
};

extern _Atomic int64_t metric_values[M_COUNT];

static inline void metric_add(enum metric m, int64_t n)
{
	atomic_fetch_add_explicit(&metric_values[m], n, memory_order_relaxed);
}
static inline void metric_set(enum metric m, int64_t n)
{
	atomic_store_explicit(&metric_values[m], n, memory_order_relaxed);
}
static inline int64_t metric_get(enum metric m)
{
	return atomic_load_explicit(&metric_values[m], memory_order_relaxed);
}
const char *metric_name(enum metric m);
const char *metric_type(enum metric m);
const char *metric_help(enum metric m);

#endif
