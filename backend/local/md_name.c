/* md_name.c - names of mail files: "unique:2,FLAGS". Any thread, pure but for
 * the counter of unique names. Trap: other programs may have put letters there
 * that we do not know; they stay. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "backend/local/maildir.h"

/* P ("passed") is Maildir's own letter for what IMAP keeps as $Forwarded. */
static const struct {
	char letter;
	uint8_t flag;
} letters[] = {
	{ 'D', MAIL_DRAFT }, { 'F', MAIL_FLAGGED },  { 'P', MAIL_FORWARDED },
	{ 'R', MAIL_ANSWERED }, { 'S', MAIL_SEEN }, { 'T', MAIL_DELETED },
};

void md_unique(char *buf, size_t n)
{
	static uint32_t counter;
	char host[64] = "", clean[sizeof(host)];
	struct timespec t;
	size_t k = 0;

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = 0;
	for (const char *p = host; *p; p++)
		if (*p > ' ' && *p != '/' && *p != ':' && *p != ',' && (unsigned char)*p < 0x7f)
			clean[k++] = *p;
	clean[k] = 0;
	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(buf, n, "%lld.M%06ldP%ldQ%u.%s", (long long)t.tv_sec, t.tv_nsec / 1000, (long)getpid(),
		 __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED), k ? clean : "localhost");
}

size_t md_base_len(const char *name)
{
	return strcspn(name, ":");
}

void md_name_flags(const char *name, unsigned *flags_r, uint32_t *letters_r)
{
	const char *p = strstr(name, ":2,");

	*flags_r = 0;
	*letters_r = 0;
	if (!p)
		return;
	for (p += 3; *p && *p != ','; p++) {
		if (*p >= 'a' && *p <= 'z')
			*letters_r |= 1u << (*p - 'a');
		for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++)
			if (letters[i].letter == *p)
				*flags_r |= letters[i].flag;
	}
}

static bool known(char c)
{
	if (c >= 'a' && c <= 'z')
		return true;
	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++)
		if (letters[i].letter == c)
			return true;
	return false;
}

char *md_name_make(struct slice base, const char *old, unsigned flags, uint32_t kw)
{
	const char *info = strstr(old, ":2,");
	bool have[128] = { false };
	char *name = mem_alloc(base.len + 4 + sizeof(have));
	size_t n = base.len;

	for (const char *p = info ? info + 3 : ""; *p && *p != ','; p++)
		if ((unsigned char)*p > ' ' && (unsigned char)*p < 0x7f && *p != '/' && !known(*p))
			have[(unsigned char)*p] = true;
	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++)
		have[(unsigned char)letters[i].letter] = flags & letters[i].flag;
	for (int i = 0; i < KEYWORDS; i++)
		have['a' + i] = kw >> i & 1;
	memcpy(name, base.ptr, base.len);
	memcpy(name + n, ":2,", 3);
	n += 3;
	for (int c = 0; c < 128; c++)
		if (have[c])
			name[n++] = (char)c;
	name[n] = 0;
	return name;
}
