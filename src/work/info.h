/* info.h - GET of the endpoint: a page for people. After login: the account,
 * its devices, their last sync and policy state. Worker. */
#ifndef WORK_INFO_H
#define WORK_INFO_H

#include "work/work.h"

/* x is authenticated; no device is loaded. */
void info_page(struct exchange *x);

#endif
