/* store_drivers.h - the drivers, for store.c and each other. */
#ifndef WORK_STORE_DRIVERS_H
#define WORK_STORE_DRIVERS_H

#include "work/store.h"

extern const struct store_ops store_mem_ops, store_sqlite_ops, store_redis_ops, store_rediss_ops, store_sentinel_ops;

#endif
