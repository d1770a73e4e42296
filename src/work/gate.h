/* gate.h - may this device have data? Asked after the device is loaded and
 * before its command runs. Worker; pure but for the verdict it sets. */
#ifndef WORK_GATE_H
#define WORK_GATE_H

#include "work/work.h"

/* A wipe was ordered and not acknowledged: nothing leaves, in any version. */
bool gate_wiping(const struct device *d);
/* true: go on. false: the verdict stands. */
bool gate_pass(struct exchange *x);
/* devices.allow: does a pattern of the list let it in? */
bool gate_listed(const struct slice *patterns, size_t n, const struct device *d);

/* * and ?, ASCII case folded; the whole of the text. */
bool gate_glob(struct slice pattern, struct slice text);

#endif
