/* deviceinfo.h - DeviceInformation into the device record: Settings and Provision. */
#ifndef WORK_DEVICEINFO_H
#define WORK_DEVICEINFO_H

#include "work/work.h"

/* Its Settings status: 1 stored, 2 malformed, 5 a value is not legal. */
int deviceinfo_store(struct exchange *x, const struct device_information *info);

#endif
