/* mailfile.h - one mail as a file: read with network line ends whatever the
 * file has (delivery agents store bare LF), parsed without holding it in memory,
 * written to tmp/. Worker threads; no locks: an open file does not change, be it
 * renamed or deleted meanwhile. */
#ifndef BACKEND_LOCAL_MAILFILE_H
#define BACKEND_LOCAL_MAILFILE_H

#include "backend/local/files.h"
#include "proto/mime.h"

/* Size with CRLF line ends and tree of the mail in fd. */
struct mail_shape {
	struct mime_tree tree;
	uint64_t size;
	bool bare; /* has bare LFs: the file is shorter than size */
};
enum be_result mailfile_shape(int fd, struct arena *a, struct mail_shape *s_r, struct err *e);
/* Its header block up to and with the empty line, at most 256 KiB, with CRLF. */
enum be_result mailfile_head(int fd, const struct mail_shape *s, struct arena *a, struct slice *headers_r, struct err *e);
/* Bytes off .. off+max of the mail with CRLF line ends, appended to out. max 0: all. `bare`:
 * from the shape; true is always right, false saves the reading in front of off. */
enum be_result mailfile_copy(int fd, bool bare, uint64_t off, uint64_t max, struct blob *out, struct err *e);
/* Header block without a look at the rest; in the arena, line ends as stored. */
enum be_result mailfile_header(int fd, struct arena *a, struct slice *header_r, struct err *e);
/* Writes head and mail into dir/tmp, dates it, syncs it. *path_r: malloc. *sizes_r: ",S=..,W=.." */
enum be_result mailfile_write(const char *dir, struct slice head, struct blob *mail, int64_t date_ms, struct arena *a,
			      char **path_r, struct slice *sizes_r, struct err *e);

#endif
