/* accounts.h - the accounts file of the local backend.
 *
 *   # comment
 *   name:{PBKDF2-SHA256}rounds$salt$hash:address:Display Name
 *
 * name: letters, digits and . _ + - @, not beginning with a dot; lower case (the
 * canonical login name), it also names the directory of the mails. salt: text,
 * used as it stands. hash: 32 bytes in base64, either alphabet. address may be
 * empty: then it is the name. The display name is UTF-8 and may hold colons. The
 * file is read again when it changed; lines that cannot be read are skipped and
 * logged. Any thread. */
#ifndef BACKEND_LOCAL_ACCOUNTS_H
#define BACKEND_LOCAL_ACCOUNTS_H

#include "backend/local/files.h"

struct account {
	struct slice name, address, display;
	struct slice salt;
	struct sha256 *hash; /* NULL: no password can be right */
	unsigned rounds;
};

struct accounts;
struct accounts *accounts_new(const char *path);
void accounts_free(struct accounts **a);
/* By name, else by address; ASCII case does not count. Copies in the arena. BE_PERM ERR_NOT_FOUND. */
enum be_result accounts_find(struct accounts *l, struct slice who, struct arena *a, struct account *a_r, struct err *e);
/* BE_PERM ERR_AUTH; an unknown name takes as long as a wrong password. */
enum be_result accounts_check(struct accounts *l, struct slice who, struct slice password, struct arena *a,
			      struct account *a_r, struct err *e);

#endif
